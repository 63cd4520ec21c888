"""A record that notes which of its fields are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Watched(dict[str, Any]):
    """Behaves as the object it is made of; the path of each key that is read is added to `read`.

    `a.*`: all of `a` was read, so that `a` itself has to be on a path of the table.
    """

    def __init__(self, record: dict[str, Any], read: set[str], at: str = "") -> None:
        super().__init__(record)
        self._read, self._at = read, at

    def get(self, key: str, default: Any = None) -> Any:
        return watched(super().get(key, default), self._read, self._noted(key))

    def __getitem__(self, key: str) -> Any:
        return watched(super().__getitem__(key), self._read, self._noted(key))

    def __contains__(self, key: object) -> bool:
        self._noted(str(key))
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._noted("*")
        return super().__iter__()

    def __len__(self) -> int:
        """Whether there is anything in it depends on keys that no path names."""
        self._noted("*")
        return super().__len__()

    def items(self) -> Any:
        self._noted("*")
        return super().items()

    def values(self) -> Any:
        self._noted("*")
        return super().values()

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


def one_contains_other(one: str, other: str) -> bool:
    """Whether one path leads on from the other, or to the same."""
    shorter, longer = sorted((one, other), key=len)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}["))
