"""The body of a reply: read within a bound, parsed, and its unreadable records marked."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import orjson
import requests

MAX_BYTES = 32 * 1024 * 1024  # decompressed
MAX_SECONDS = 300.0  # a server that drips a byte a minute never trips the read timeout
_CHUNK = 256 * 1024


class TooLarge(ValueError):
    """The body goes beyond `MAX_BYTES`; what was read of it is dropped."""


class TooSlow(ValueError):
    """The body did not end within `MAX_SECONDS`."""


class BrokenObject(dict[str, Any]):
    """A JSON object holding what cannot be sent on (NaN, half of a surrogate pair). `field` is where, `reason` what."""

    field = ""
    reason = ""


def read(response: requests.Response) -> bytearray:
    """The whole body, decompressed; raises TooLarge or TooSlow as soon as that is known, else what urllib3 raises.

    Read as it arrives: a read that waits for a full chunk would wait as long as the server likes to drip.
    """
    started = time.monotonic()
    body = bytearray()
    while part := response.raw.read1(_CHUNK, decode_content=True):
        body += part
        if len(body) > MAX_BYTES:
            raise TooLarge
        if time.monotonic() - started > MAX_SECONDS:
            raise TooSlow
    return body


def parse(body: bytes | bytearray) -> Any:
    """JSON → Python; raises ValueError when it is none.

    What orjson refuses but `json` reads (NaN, Infinity, 1e999, a lone surrogate) must not cost a page: such a body is
    read once more, and each object that holds such a value, at any depth, comes as a `BrokenObject`, which mapping
    skips.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return _marked(json.loads(body, parse_constant=_NotANumber, parse_float=_finite, parse_int=_whole))
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _NotANumber(str):
    """Stands for NaN, Infinity or a number beyond a double's range until its object is marked."""

    __slots__ = ()


def _finite(digits: str) -> float | _NotANumber:
    number = float(digits)
    return number if math.isfinite(number) else _NotANumber(digits[:20])


def _whole(digits: str) -> float | _NotANumber:
    """As orjson: what 64 bits do not hold is a float. `int` alone raises beyond 4,300 digits."""
    return int(digits) if len(digits) <= 20 else _finite(digits)


def _marked(value: Any) -> Any:
    """`value` with each object that holds something unreadable replaced by a `BrokenObject`."""
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if not isinstance(value, dict):
        return value
    whole = {key: _marked(item) for key, item in value.items()}
    found = next(((key, why) for key, item in whole.items() if (why := _why(key) or _why(item))), None)
    if found is None:
        return whole
    broken = BrokenObject(whole)
    broken.field, broken.reason = found[0].encode("ascii", "replace").decode(), found[1]
    return broken


def _why(value: Any) -> str:
    """Why a marked value cannot be sent, or ""."""
    if isinstance(value, _NotANumber):
        return f"{value} is not a JSON number"
    if isinstance(value, BrokenObject):
        return f"{value.field}: {value.reason}"
    if isinstance(value, list):
        return next((why for item in value if (why := _why(item))), "")
    try:
        return "" if not isinstance(value, str) else value.encode()[:0].decode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is no text"
