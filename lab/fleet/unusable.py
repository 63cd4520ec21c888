"""Records that no module can send: a large console holds a few, and the log then names each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lab.paths import Record, with_values


def unusable(sound: Record, ids: Iterable[str], number: str | None, *, by_id: bool) -> list[Any]:
    """A sound record with NaN at `number` and an id by which the log names it, a string instead of a record and, where
    a record is known `by_id` only, the record without any of its `ids`."""
    names = dict.fromkeys(ids, "lab-0000-not-a-number")
    wrong = with_values(sound, {**names, number: math.nan}) if number else {**sound, "anything": math.nan, **names}
    lost = with_values(sound, dict.fromkeys(names))
    return [wrong, "PAR-LT-000000", *([lost] if by_id else [])]
