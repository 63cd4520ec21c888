"""What became of each device that a round met, each counted once however often it is listed; whether all were met."""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import TryAgain
from shared.runtime.metrics import Counts
from shared.state.fingerprints import PENDING

Known = tuple[int, int, int]  # content, delivered, met, as `Fingerprints.meet` gives them
READINGS = 2  # of a list of which rows are missing
_MAX_SHARED = 250_000  # device.uids in which one that several records share is looked for


class Account:
    """Counts for a round that began at `began` (its stamp). `stamp` is that of the present reading of the list.

    `met`: devices met for the first time in this reading. `total`: devices as the vendor last reported it, None where it
    did not. `complete`: a reading met as many as the vendor ever reported during it.
    """

    def __init__(self, counts: Counts, began: int) -> None:
        self.stamp = began
        self.met = 0
        self.total: int | None = None
        self.complete = False
        self._counts = counts
        self._began = began
        self._rows = self._max_total = self._nameless = 0
        self._others: dict[int, tuple[int, str]] = {}  # refused or unmappable: when they were met, and as what counted
        self._uids: set[int] = set()
        self._shared, self._example = 0, ""  # devices whose device.uid another one has, and such a uid

    def begin_reading(self, stamp: int) -> None:
        self.stamp = stamp
        self.met = self._nameless = self._max_total = 0
        self.total = None

    def end_reading(self) -> None:
        self.complete = self.complete or self.met + self._nameless >= self._max_total

    def report_total(self, total: int) -> None:
        self.total, self._max_total = total, max(self._max_total, total)

    @property
    def missing(self) -> int:
        return 0 if self.total is None else self.total - self._rows

    def judge_list(self, warn: Callable[[str], None]) -> None:
        """Log what is odd about the list. Raises TryAgain when many of the devices that the vendor reported are missing."""
        if self._shared:
            warn(
                f"{self._shared} more devices share a device.uid with another, such as {self._example}: Sekoia.io shows "
                "those that share one as one device."
            )
        missing, total = self.missing, self.total or 0
        if missing <= 0:
            return
        count = f"The list has {total} devices and {self._rows} were read, in {READINGS} readings"
        if missing > total / 10 or (missing > total / 100 and missing > 10):
            raise TryAgain(
                f"{count}: it changes while it is read, or the credential does not see all of it. What was read is sent; "
                "the list is read again later."
            )
        warn(f"{count}: it changes while it is read. Those that are missing are read by the next full walk.")

    def is_first(self, key: int, known: Known | None) -> bool:
        """Whether the device is met for the first time in this round; notes that it was met in this reading."""
        other = self._others.get(key)
        met = other[0] if other else known[2] if known else 0
        self.met += met != self.stamp
        if self._began <= met <= self.stamp:
            if other:
                self._others[key] = (self.stamp, other[1])
            return False
        self._rows += 1
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
        self._rows += 1
        self._nameless += 1
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
            self._shared, self._example = self._shared + 1, uid
        elif len(self._uids) < _MAX_SHARED:
            self._uids.add(hashed)
