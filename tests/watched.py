"""A record that notes what is read of it."""

from __future__ import annotations

from typing import Any


class Watched(dict[str, Any]):
    """Behaves as the object it is made of; each key that is asked for comes into `read`, as the path of a table."""

    def __init__(self, told: dict[str, Any], read: set[str], at: str = "") -> None:
        super().__init__(told)
        self._read, self._at = read, at

    def get(self, key: str, default: Any = None) -> Any:
        return watched(super().get(key, default), self._read, self._noted(key))

    def __getitem__(self, key: str) -> Any:
        return watched(super().__getitem__(key), self._read, self._noted(key))

    def __contains__(self, key: object) -> bool:
        self._noted(str(key))
        return super().__contains__(key)

    def _noted(self, key: str) -> str:
        path = f"{self._at}.{key}" if self._at else key
        self._read.add(path)
        return path


def watched(value: Any, read: set[str], at: str = "") -> Any:
    if isinstance(value, dict):
        return Watched(value, read, at)
    if isinstance(value, list):
        return [watched(item, read, f"{at}[]") for item in value]
    return value


def on_one_way(one: str, other: str) -> bool:
    """Whether one path leads on from the other, or to the same."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))
