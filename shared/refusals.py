"""What the platform does not take for what it holds, and how the one is found that it refuses (decision 16)."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

from shared.errors import ConnectorError, SkipRecord

Key = TypeVar("Key", bound=Hashable)
_NARROWER = 32  # times as small are the batches in which those of a refused one come again
_MOST_REFUSED = 10  # whole batches in a row, or so many times 32 small ones: then it is not what they hold


class Refusals(Generic[Key]):
    """What is refused in one round. A batch that is refused holds back no other; it comes again, in smaller ones.

    `sizes` outlives the round: key → how many were in the smallest batch that it was refused in, 0 when it was refused
    alone while others were taken. `noun`: what a batch holds, in messages. `for_good`: what is settled is never sent
    again, so that it has to be refused alone in two rounds.
    """

    def __init__(self, sizes: dict[Key, int], noun: str, *, for_good: bool = False) -> None:
        self._sizes = sizes
        self._noun = noun
        self._for_good = for_good
        self._errors: dict[Key, ConnectorError] = {}  # why, of those that are not delivered since
        self._suspects: dict[Key, str] = {}  # refused in another round: key → name
        self._alone: set[Key] = set()  # suspects that were refused in a batch of their own
        self._in_a_row = 0.0
        self._accepted = False

    def __contains__(self, key: Key) -> bool:
        """Whether it was refused, in this round or another, and not delivered since."""
        return key in self._sizes

    @property
    def keys(self) -> Collection[Key]:
        """Those refused in this round and not delivered since."""
        return self._errors.keys()

    def most(self, key: Key, name: str) -> int:
        """How many a batch may hold with this one, that was refused before."""
        if key not in self._errors:
            self._suspects[key] = name
        return max(1, self._sizes[key] // _NARROWER)

    def delivered(self, keys: Collection[Key]) -> None:
        """A batch of these was delivered."""
        self._accepted, self._in_a_row = True, 0
        for key in keys:
            self._errors.pop(key, None)
            self._sizes.pop(key, None)

    def add(self, keys: Collection[Key], error: ConnectorError) -> None:
        """Put a batch aside, so that the others go on; raises where so many are refused that it is not what they hold."""
        weight = 1.0
        for key in keys:
            if key in self._suspects:
                weight = 1 / _NARROWER if self._sizes.get(key) else 0
                if len(keys) == 1 and (self._sizes.get(key, 0) <= 1 or not self._for_good):
                    self._alone.add(key)
            self._sizes[key] = min(len(keys), self._sizes.get(key, len(keys)))
            self._errors[key] = error
        self._in_a_row += weight
        if self._in_a_row >= _MOST_REFUSED:
            error.everywhere = True
            raise error

    def beside(self, error: ConnectorError) -> ConnectorError:
        """What ended the round, and what was refused besides; something was."""
        first, *_ = self._errors.values()
        if error in self._errors.values():
            return error.adding("So many were refused in a row that the rest waits for the next round.")
        return error.adding(f"Apart from that: {first}")

    def settled(self) -> Iterator[tuple[Key, str, SkipRecord]]:
        """At the end: key, name and reason of those that are refused alone while others are taken; raises before the first
        where that is not certain of all."""
        for key, error in self._errors.items():
            if key not in self._alone:
                raise error.adding(
                    f"All else is delivered; what was refused ({len(self._errors)}) comes again, in smaller batches."
                )
            if self._sizes[key] and not self._accepted:
                raise error.adding(f"It is about the {self._noun} {self._suspects[key][:100]}.")
        for key in self._sizes.keys() - self._errors.keys():  # it is there no more, or as it was delivered
            del self._sizes[key]
        for key, error in self._errors.items():
            self._sizes[key] = 0
            yield key, self._suspects[key], SkipRecord("refused by the platform", str(error))
