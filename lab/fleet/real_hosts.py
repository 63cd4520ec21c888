"""Oddities of records of real hosts: one host in twenty has one of those that its vendor's fleet lists.

Each is of a kind that was seen in public captures or is documented by the vendor; every value is invented.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]

_SHARE = 0.05
ZERO = "1970-01-01T00:00:00Z"  # protobuf's zero
EMPTY_MACS = ("00:00:00:00:00:00", "02:00:00:00:00:00", "20:41:53:59:4E:FF", "00:00:5E:FF:FE:00:53:01")


def make_odd_rarely(record: Record, oddities: Sequence[Record], share: float, dice: random.Random) -> None:
    """Give the record each of the oddities with the probability `share`."""
    for oddity in oddities:
        if dice.random() < share:
            record.update(oddity)


def as_real_hosts_are(record: Record, vendor: str, oddities: Sequence[Record], seed: int, index: int) -> None:
    """Give the record one of the vendor's oddities, or none: the same for the same arguments."""
    dice = random.Random(f"real:{vendor}:{seed}:{index}")
    if dice.random() < _SHARE:
        record.update(dice.choice(oddities))
