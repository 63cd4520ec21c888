"""What became of each device that a round met: each is counted once, however often it is listed."""

from __future__ import annotations

from shared.runtime.metrics import Counts
from shared.state.fingerprints import PENDING

Known = tuple[int, int, int]  # content, delivered, met, as `Fingerprints.meet` gives them
_MAX_SHARED = 250_000  # device.uids in which one that several records share is looked for


class Account:
    """Counts for a round that began at `began` (its stamp). `stamp` is that of the present reading of the list.

    `rows`: different devices met in all readings. `new`: devices met for the first time in a reading, of all readings.
    `shared`: devices whose device.uid another one has, `example` is such a uid.
    """

    def __init__(self, counts: Counts, began: int) -> None:
        self.stamp = began
        self.rows = self.new = self.shared = 0
        self.example = ""
        self._counts = counts
        self._began = began
        self._others: dict[int, tuple[int, str]] = {}  # refused or unmappable: when they were met, and as what counted
        self._uids: set[int] = set()

    def is_first(self, key: int, known: Known | None) -> bool:
        """Whether the device is met for the first time in this round; notes that it was met in this reading."""
        other = self._others.get(key)
        met = other[0] if other else known[2] if known else 0
        self.new += met != self.stamp
        if self._began <= met <= self.stamp:
            if other:
                self._others[key] = (self.stamp, other[1])
            return False
        self.rows += 1
        self._counts.listed += 1
        return True

    def add(self, column: str, key: int, *, first: bool) -> None:
        """Count a device in a column, unless it is in one already."""
        if not first:
            return
        setattr(self._counts, column, getattr(self._counts, column) + 1)
        if column != "unchanged":
            self._others[key] = (self.stamp, column)

    def add_nameless(self) -> None:
        """A row without an id cannot be told from another: it is one of its own, and unmappable."""
        self.rows += 1
        self._counts.listed += 1
        self._counts.unmappable += 1

    def send(self, key: int, known: Known | None, *, first: bool) -> bool:
        """Whether a device that is sent is to be counted once it arrived; it leaves the column that it is in."""
        if first:
            return True
        _, column = self._others.pop(key, (0, ""))
        if not column and known and known[1] in (self._began, PENDING):
            return False  # counted as delivered
        column = column or "unchanged"
        setattr(self._counts, column, getattr(self._counts, column) - 1)
        return True

    def refuse(self, key: int, *, counted: bool) -> None:
        """A device that was sent is refused."""
        self._counts.refused += counted
        self._others.setdefault(key, (self.stamp, "refused"))

    def look_for_shared(self, uid: str) -> None:
        """Note the device.uid of a device met for the first time."""
        hashed = hash(uid)
        if hashed in self._uids:
            self.shared, self.example = self.shared + 1, uid
        elif len(self._uids) < _MAX_SHARED:
            self._uids.add(hashed)
