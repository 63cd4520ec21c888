"""The contents of each device field by field: how a trigger knows which fields changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson

from shared.mapping.table import Field, Mapper
from shared.state.fingerprints import VOLATILE, Fingerprints, Hasher

_BYTES = 8  # of a field's hash
_ABSENT = bytes(_BYTES)


def _hash_at(event: dict[str, Any], steps: Iterable[str], hasher: Hasher) -> bytes:
    value: Any = event
    for step in steps:
        value = value.get(step)
        if value is None:
            return _ABSENT
    return hasher(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


class Contents(Fingerprints):
    """A memory whose contents are the values of watched paths, a hash each: some 300 bytes a device, and 180 of description."""

    max_described = 10_000_000

    def __init__(self, path: Path, paths: Sequence[str]) -> None:
        self._steps = [path.split(".") for path in paths]
        super().__init__(path, len(paths) * _BYTES)

    def doubt(self, keys: Iterable[int]) -> None:
        """Nothing: a change is reported against what is known to have been reported."""

    def content(self, event: dict[str, Any], written: bytes) -> int:
        return int.from_bytes(b"".join([_hash_at(event, steps, self.hasher) for steps in self._steps]))


def changed(paths: Sequence[str], before: int, now: int) -> list[str]:
    """The watched paths whose values differ."""
    differing = (before ^ now).to_bytes(len(paths) * _BYTES)
    return [path for n, path in enumerate(paths) if any(differing[n * _BYTES : (n + 1) * _BYTES])]


def changing_paths(fields: Iterable[Field]) -> list[str]:
    """The paths of a table whose values can change, but for what a heartbeat moves."""
    return [row.path for row in fields if not row.is_constant and row.path.rpartition(".")[2] not in VOLATILE]


def chosen(paths: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Those of the paths that are wanted, by their own name or a parent's (`device.os`); all where none is."""
    return [path for path in paths if not wanted or any(f"{path}.".startswith(f"{name}.") for name in wanted)]


def constants(fields: Iterable[Field]) -> dict[str, Any]:
    """What all events of a table have in common, but for their `device`."""
    return Mapper([row for row in fields if row.is_constant and not row.path.startswith("device.")])({})
