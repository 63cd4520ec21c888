"""Devices that the platform refuses because of their content, remembered so that they are not sent each round."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from shared.state.fingerprints import FORGOTTEN_AFTER

REFUSED = "refused"  # the key of this part in a scope's state
_MAX_REMEMBERED = 10_000


@dataclass
class Refused:
    """Key → content, when and how often it was refused: a part of a scope's state, changed in place.

    A device is sent again when its content changes, once in `interval` seconds, and until it was refused `tries` times.
    """

    stored: dict[str, Any]
    interval: float
    tries: int = 1

    def __bool__(self) -> bool:
        return bool(self.stored)

    def knows(self, key: int, content: int) -> bool:
        """Whether this content was refused."""
        known = self.stored.get(str(key)) if self.stored else None
        return known is not None and known[0] == _hash_of(content)

    def is_held_back(self, key: int, content: int, now: int) -> bool:
        """Whether this content is not sent for the time being."""
        if not self.knows(key, content):
            return False
        _, at, times = self.stored[str(key)]
        return bool(times >= self.tries and 0 <= now - at < self.interval)

    def has_retries(self, since: int) -> bool:
        """Whether a device that was refused at or after `since` is to be sent again by the next round."""
        return any(times < self.tries and at >= since for _, at, times in self.stored.values())

    def add(self, key: int, content: int, now: int) -> None:
        known, hashed = self.stored.pop(str(key), None), _hash_of(content)
        times = known[2] + 1 if known and known[0] == hashed else 1
        if len(self.stored) >= _MAX_REMEMBERED:
            del self.stored[next(iter(self.stored))]
        self.stored[str(key)] = [hashed, now, times]

    def delivered(self, key: int) -> None:
        self.stored.pop(str(key), None)

    def forget(self, now: int) -> None:
        """Drop what was last refused 30 days ago: it left, or changed."""
        for key in [key for key, (_, at, _) in self.stored.items() if now - at >= FORGOTTEN_AFTER]:
            del self.stored[key]


def _hash_of(content: int) -> str:
    return blake2b(content.to_bytes(content.bit_length() // 8 + 1), digest_size=8).hexdigest()
