"""What the platform does not take for what it holds, and how the one is found that it refuses (decision 16)."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.errors import ConnectorError, SkipRecord

Key = TypeVar("Key", bound=Hashable)
_NARROWER = 32  # times as small are the batches in which those of a refused one come again
_MOST_WHOLE = 10  # batches refused in a row: then it is not what they hold
_MOST_NARROWER = _MOST_WHOLE * _NARROWER


@dataclass(slots=True)
class _Refused:
    """`size` of the smallest batch it was refused in. `alone`: how often it was refused alone, others having been
    delivered since the time before; `since`: how many batches were delivered by then."""

    size: int
    since: int | None = None
    alone: int = 0


class Refusals(Generic[Key]):
    """What is refused and not delivered since, round after round; `noun`: what it is, in messages.

    A batch that is refused holds back no other; it comes again, in smaller ones. `for_good`: what is settled is never
    sent again, so that it has to be refused alone three times.
    """

    def __init__(self, noun: str, *, for_good: bool = False) -> None:
        self._noun = noun
        self._for_good = for_good
        self._refused: dict[Key, _Refused] = {}
        self._delivered = 0  # batches
        self.begin()

    def begin(self) -> None:
        """A round begins."""
        self._errors: dict[Key, ConnectorError] = {}  # why, of those refused in this round and not delivered since
        self._suspects: dict[Key, str] = {}  # refused in another round: key → name
        self._postponed: set[Key] = set()  # suspects that wait for the next round
        self._began = self._delivered
        self._whole = self._narrower = 0  # batches refused in a row
        self._ended: ConnectorError | None = None  # said that there were too many

    def __contains__(self, key: Key) -> bool:
        """Whether it was refused, in this round or another, and not delivered since."""
        return key in self._refused

    @property
    def keys(self) -> Collection[Key]:
        """Those refused in this round and not delivered since."""
        return self._errors.keys()

    def most(self, key: Key, name: str) -> int:
        """How many a batch may hold with this one, that was refused before; 0 when it has to wait for the next round."""
        if key not in self._errors:
            self._suspects[key] = name
        if self._narrower >= _MOST_NARROWER and not self._certain(key):
            self._errors.setdefault(key, next(reversed(self._errors.values())))
            self._postponed.add(key)
            return 0
        self._postponed.discard(key)
        return max(1, self._refused[key].size // _NARROWER)

    def delivered(self, keys: Collection[Key]) -> None:
        """A batch of these was delivered."""
        self._delivered += 1
        self._whole = self._narrower = 0
        for key in keys:
            if key not in self._postponed:  # else it was another version of it
                for known in (self._errors, self._refused, self._suspects):
                    known.pop(key, None)

    def add(self, keys: Collection[Key], error: ConnectorError) -> None:
        """Put a batch aside, so that the others go on; raises where so many are refused that it is not what they hold."""
        if suspects := [key for key in keys if key in self._suspects]:
            self._narrower += not all(map(self._certain, suspects))
        else:
            self._whole += 1
        for key in keys:
            known = self._refused.setdefault(key, _Refused(len(keys)))
            known.size = min(known.size, len(keys))
            if known.since is None:
                if not self._for_good:
                    known.since = self._began
                elif len(keys) == 1:
                    known.since = self._delivered
            elif key in self._suspects and len(keys) == 1 and known.since < self._delivered:
                known.since, known.alone = self._delivered, known.alone + 1
            self._errors[key] = error
        if self._whole >= _MOST_WHOLE and self._ended is None:
            self._ended = _too_many(error)
            self._ended.ends_round = True
            raise self._ended

    def beside(self, error: ConnectorError) -> ConnectorError:
        """What ended the round, and what was refused besides; something was."""
        first, *_ = self._errors.values()
        return error if error is self._ended else error.adding(f"Apart from that: {first}")

    def settled(self) -> Iterator[tuple[Key, str, SkipRecord]]:
        """At the end: key, name and reason of those that are certain to be refused; then raises if others were refused."""
        for key in self._refused.keys() - self._errors.keys():  # it is there no more, or as it was delivered
            del self._refused[key]
        left = [key for key in self._errors if not self._certain(key)]
        for key in [*filter(self._certain, self._errors)]:
            yield key, self._suspects[key], SkipRecord("refused by the platform", str(self._errors[key]))
        if not left:
            return
        first, *others = left
        if self._postponed:
            raise _too_many(self._errors[first])
        if not others and first in self._suspects and self._refused[first].size == 1:
            raise self._errors[first].adding(f"It is about the {self._noun} {self._suspects[first][:100]}.")
        raise self._errors[first].adding(
            f"All else is delivered; what was refused ({len(left)}) comes again, in small batches."
        )

    def _certain(self, key: Key) -> bool:
        return self._refused[key].alone >= (2 if self._for_good else 1)


def _too_many(error: ConnectorError) -> ConnectorError:
    return error.adding("So many were refused in a row that the rest waits for the next round.")
