"""Records that no module can send, as a large console has a few; the log names each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from lab.paths import Record, with_values


def unusable(valid: Record, ids: Iterable[str], number: str | None, *, by_id: bool) -> list[Any]:
    """The valid record with NaN at `number` and an id by which the log names it, a string instead of a record and, if
    records are known `by_id` only, the record without any of its `ids`."""
    names = dict.fromkeys(ids, "lab-0000-not-a-number")
    wrong = with_values(valid, {**names, number: math.nan}) if number else {**valid, "anything": math.nan, **names}
    lost = with_values(valid, dict.fromkeys(names))
    return [wrong, "PAR-LT-000000", *([lost] if by_id else [])]
