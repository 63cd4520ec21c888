"""Records that no module can send: a large console holds a few, and the log then names each."""

from __future__ import annotations

import math
from typing import Any

_IDS = ("id", "uuid")
_NUMBERS = ("cpu_frequency", "totalMemory", "functionalityProblemCount", "mdrManaged", "device_id")  # one a vendor


def unusable(sound: dict[str, Any], *, by_id: bool) -> list[Any]:
    """What a sound record became when its number was computed wrongly, when it was cut to its name and, where a record
    is known `by_id` only, when its id was lost."""
    ids = {name: "lab-0000-not-a-number" for name in _IDS if name in sound}
    wrong = {**sound, **ids, **{name: math.nan for name in _NUMBERS if name in sound}}
    lost = {**sound, **dict.fromkeys(ids)}
    return [wrong, "PAR-LT-000000", *([lost] if by_id else [])]
