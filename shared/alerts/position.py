"""From where a connector of events reads on, and which rows from there on are done with; both in one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared import times
from shared.alerts.windows import Known
from shared.state.storage import JsonFile

_KNOWN = "known"


class Position:
    """`cursor`: up to where was read, epoch seconds. `known`: rows from `at` on that are delivered, or skipped for good.

    A row that was put aside has to come again: `at`, from where the next round reads, waits at the beginning of its
    window. `key` is the name under which that is stored, an ISO time.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.cursor = 0
        self.known = Known()
        self._aside: dict[str, tuple[float, int]] = {}  # key → place, beginning of its window
        self._file = JsonFile(path)
        self._key = key

    def recall(self) -> bool:
        """Read what is stored; False where no position is, and `cursor` stays what it was. Nothing is aside then."""
        stored = self._file.read()
        at = times.epoch(stored.get(self._key))
        self.known = Known(stored.get(_KNOWN))
        self._aside = {}
        if at is not None:
            self.cursor = int(at)
        return at is not None

    @property
    def damaged(self) -> bool:
        """Whether the file was, when it was read."""
        return self._file.damaged

    @property
    def at(self) -> int:
        """From where the next round reads, epoch seconds."""
        return min((start for _, start in self._aside.values()), default=self.cursor)

    def is_aside(self, key: str) -> bool:
        return key in self._aside

    def put_aside(self, places: Mapping[str, float], start: int) -> None:
        """Rows of the window that begins at `start` are to come again."""
        self._aside |= {key: (place, start) for key, place in places.items()}

    def take_back(self, key: str) -> None:
        """A row that was put aside is done with."""
        place, _ = self._aside.pop(key)
        self.known.add({key: place})

    def move(self, cursor: int) -> None:
        """All up to here was read, and is done with or put aside."""
        self.cursor = cursor
        self.store()

    def store(self) -> None:
        self.known.forget_before(self.at)
        self._file.write({self._key: times.iso(self.at), _KNOWN: self.known.stored()})
