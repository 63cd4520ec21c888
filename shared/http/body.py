"""The body of a reply: read within a bound, parsed, and its unreadable records marked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
import requests

from shared.http.wire import TooLarge
from shared.masking import one_line

MAX_BYTES = 32 * 1024 * 1024  # decompressed
MAX_MEMORY = 480 * 1024 * 1024  # of its objects, as `memory_of` tells: twice what 32 MiB of devices take
Body = bytes | bytearray
Parse = Callable[[Body], Any]  # a body → its JSON; raises ValueError when it is not JSON
_CHUNK = 256 * 1024
MAX_PER_BYTE = 120  # bytes of memory for a byte of a body, at most: `{},{},` takes so many
_OBJECT, _ENTRY = 256, 96  # bytes at most, measured: of an object with its first keys, of each further value
_NO_PUNCTUATION = bytes(set(range(256)) - set(b"{[,"))
_MAX_NAMED = 100  # characters of a field that is named in a message


class BrokenObject(dict[str, Any]):
    """A JSON object with a value that cannot be sent (NaN, half of a surrogate pair) in `field`; `reason` says which."""

    __slots__ = ("field", "reason")
    field: str
    reason: str


def read(response: requests.Response) -> bytearray:
    """The complete body, decompressed; raises TooLarge as soon as it is, else what urllib3 raises."""
    body = bytearray()
    while part := response.raw.read1(_CHUNK, decode_content=True):
        body += part
        if len(body) > MAX_BYTES:
            raise TooLarge(f"{MAX_BYTES // (1024 * 1024)} MiB")
    return body


def memory_of(body: Body) -> int:
    """Bytes that a parsed body takes at most, estimated from its punctuation: `{"":0}` takes 40 times its length."""
    punctuation = body.translate(None, _NO_PUNCTUATION)  # one for each value
    return len(body) + (_OBJECT - _ENTRY) * punctuation.count(b"{") + _ENTRY * len(punctuation)


def fits(body: Body) -> bool:
    """Whether a parsed body stays within `MAX_MEMORY`; a short one always does."""
    return len(body) * MAX_PER_BYTE <= MAX_MEMORY or memory_of(body) <= MAX_MEMORY


def parse(body: Body) -> Any:
    """JSON → Python; raises ValueError when it is not JSON.

    A value that orjson refuses but `json` reads (NaN, Infinity, 1e999, a lone surrogate) must not cost the page: such a
    body is parsed again, and each object with such a value, at any depth, becomes a `BrokenObject`, which mapping skips.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(
            body, object_hook=_marked, parse_constant=_not_a_number, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


class _NotANumber(str):
    """Stands for NaN, Infinity or a number beyond a double's range until its object is marked."""

    __slots__ = ("reason",)

    def __init__(self, said: str) -> None:
        self.reason = f"{said} is not a JSON number"


_not_a_number = lru_cache(_NotANumber)


def _finite(digits: str) -> float | _NotANumber:
    number = float(digits)
    return number if math.isfinite(number) else _not_a_number(digits[:20])


def _whole(digits: str) -> float | _NotANumber:
    """As orjson: what 64 bits do not hold is a float. `int` alone raises beyond 4,300 digits."""
    return int(digits) if len(digits) <= 20 else _finite(digits)


def _marked(members: dict[str, Any]) -> dict[str, Any]:
    """The object, as a `BrokenObject` when a value in it is unreadable. The objects in it are marked already."""
    for key, item in members.items():
        if why := _why(key) or _why(item):
            broken = BrokenObject(members)
            broken.field, broken.reason = one_line(key, _MAX_NAMED), why
            return broken
    return members


def _why(value: Any) -> str:
    """Why a marked value cannot be sent, or ""."""
    if isinstance(value, _NotANumber):
        return value.reason
    if isinstance(value, BrokenObject):
        return value.reason if ": " in value.reason else f"{value.field}: {value.reason}"
    if isinstance(value, list):
        return next((why for item in value if (why := _why(item))), "")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "holds half of a surrogate pair, which is no text"
    return ""
