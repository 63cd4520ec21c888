"""Devices that the platform refuses because of their content, remembered so that they are not sent each round."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from shared.state.fingerprints import FORGOTTEN_AFTER

_MAX_REMEMBERED = 10_000


class Refused:
    """Key → content, when and how often it was refused: a part of a scope's state, changed in place.

    A device is sent again when its content changes, once in `interval` seconds, and until it was refused `tries` times.
    """

    def __init__(self, stored: dict[str, Any], interval: float, tries: int = 1) -> None:
        self._stored = stored
        self._interval = interval
        self._tries = tries

    def __bool__(self) -> bool:
        return bool(self._stored)

    def knows(self, key: int, content: int) -> bool:
        """Whether this content was refused."""
        known = self._stored.get(str(key))
        return known is not None and known[0] == _hash_of(content)

    def is_held_back(self, key: int, content: int, now: int) -> bool:
        """Whether this content is not sent for the time being."""
        if not self.knows(key, content):
            return False
        _, at, times = self._stored[str(key)]
        return bool(times >= self._tries and 0 <= now - at < self._interval)

    def add(self, key: int, content: int, now: int) -> None:
        known, hashed = self._stored.pop(str(key), None), _hash_of(content)
        times = known[2] + 1 if known and known[0] == hashed else 1
        if len(self._stored) >= _MAX_REMEMBERED:
            del self._stored[next(iter(self._stored))]
        self._stored[str(key)] = [hashed, now, times]

    def delivered(self, key: int) -> None:
        self._stored.pop(str(key), None)

    def forget(self, now: int) -> None:
        """Drop what was last refused 30 days ago: it left, or changed."""
        for key in [key for key, (_, at, _) in self._stored.items() if now - at >= FORGOTTEN_AFTER]:
            del self._stored[key]


def _hash_of(content: int) -> str:
    return blake2b(content.to_bytes(content.bit_length() // 8 + 1), digest_size=8).hexdigest()
