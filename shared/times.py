"""Times: whatever form a vendor gives them in → epoch seconds, UTC, float.

Every time sent is epoch seconds: what the SDK's models and the platform use, though OCSF's own type is milliseconds.
"""

from __future__ import annotations

import math
import re
import time
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

_YEAR_FIRST = re.compile(r"\d{4}/\d{2}/\d{2} \d{2}:\d{2}:\d{2}")
_MONTH_FIRST = re.compile(r"\d{2}/\d{2}/\d{4} \d{2}:\d{2}:\d{2}")
# A calendar date with a time of day; `fromisoformat` alone also reads week dates and bare dates.
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{0,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?")
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
PADDING = "".join(sign for sign in map(chr, range(0x3001)) if sign.isspace() or unicodedata.category(sign) == "Cc")
"""White space and control characters: what a text may begin or end with that is no part of it (NUL, often)."""
OWN_CLOCK_DOUBT = 300.0  # seconds that our clock may be ahead of a vendor's that is not reported
_WAITS = ("Retry-After", "RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset")
_SURELY_EPOCH = 1e9  # 2001 as an epoch, 31 years as a wait
_UNITS = {"s": 1.0, "ms": 1000.0}


def epoch(value: Any) -> float | None:
    """A vendor's text → epoch seconds, or None when it tells no time.

    Reads ISO 8601 with 0 to 9 fraction digits (what is finer than a microsecond is cut), `Z`, an offset or neither
    (then UTC), `YYYY/MM/DD HH:MM:SS` and `MM/DD/YYYY HH:MM:SS`. Anything else ("", "None", "No data", a number, a time
    before 1970 or after 9999) is None, and so is 1970-01-01T00:00:00Z: protobuf's zero, a time that is missing.
    """
    if not isinstance(value, str):
        return None
    try:
        # The form nearly every record has is recognised without the pattern, which costs more than the parsing.
        moment = datetime.fromisoformat(value) if value[4:17:3] == "--T::" and value[-1] == "Z" else _unusual(value)
        seconds = moment.timestamp()
    except (OverflowError, ValueError):
        return None
    return seconds if 0 < seconds <= _LAST else None


def epoch_number(value: Any, unit: Literal["s", "ms"]) -> float | None:
    """A count of seconds or milliseconds since 1970, as number or digits → epoch seconds; None as in `epoch`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value) / _UNITS[unit]
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= _LAST else None


def iso(seconds: float) -> str:
    """Epoch seconds → `2024-01-07T06:26:08.668Z`; microseconds only where there are some. `epoch` reads it back."""
    moment = datetime.fromtimestamp(seconds, UTC)
    timespec = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def last_seen(seconds: float | None) -> str:
    """Epoch seconds → `, last seen 2026-11-02 08:14 UTC`, behind a name; "" where it is not known."""
    return "" if seconds is None else f", last seen {datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def http_date(value: str | None) -> float | None:
    """An HTTP date header (RFC 9110) → epoch seconds. One without a zone (asctime) is UTC too.

    None also for a date before 2001: of a clock that was never set.
    """
    try:
        moment = parsedate_to_datetime(value or "")
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if seconds > _SURELY_EPOCH else None


def retry_after(headers: Mapping[str, str], *, limited: bool) -> float | None:
    """The wait that a reply asks for, in seconds from now, 0 to 3600; None when its headers name none.

    `Retry-After` may be seconds, a date or an epoch; the reset of a rate limit, which counts when the reply is about one
    (`limited`), seconds or an epoch. Moments are compared with the reply's own `Date`. An hour is the most the platform's
    SDK waits for too: a header must not stop a connector for days.
    """
    now = http_date(headers.get("Date"))
    now = time.time() if now is None else now
    for name in _WAITS if limited else _WAITS[:1]:
        value = headers.get(name, "").strip()
        seconds = epoch_number(value, "s")
        moment = http_date(value) if seconds is None else seconds if seconds > _SURELY_EPOCH else None
        seconds = seconds if moment is None else moment - now
        if seconds is not None:
            return min(max(seconds, 0.0), 3600.0)
    return None


def _unusual(value: str) -> datetime:
    """Any other form, UTC where it tells no offset; ValueError when it is no time."""
    text = value.strip(PADDING)
    if not _ISO.fullmatch(text):
        if _MONTH_FIRST.fullmatch(text):
            text = f"{text[6:10]}-{text[:2]}-{text[3:5]}{text[10:]}"
        elif _YEAR_FIRST.fullmatch(text):
            text = text.replace("/", "-")
        else:
            text = text.replace(",", ".").replace(" +", "+").replace(" Z", "Z").replace("z", "Z")
            if not _ISO.fullmatch(text):
                raise ValueError
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
