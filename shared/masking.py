"""Text that leaves the process (errors, log lines, `/health`, names): live secrets masked, in one line, bounded.

A secret is live once `hide` was called with it: secrets of the settings, and the tokens that were fetched with them.
"""

from __future__ import annotations

import html
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from urllib.parse import unquote

MAX_MESSAGE = 4_000  # characters of a message
_MAX_READ = 65_536  # characters of a text that are looked at
_MASK = "***"
_RUN = 16  # characters in a row of a longer secret are masked: a server or a bound may have cut the secret
_WORD = 6  # characters: a shorter secret is masked only as a word of its own, as it may be a part of many words
_SHORTEST = 4  # characters: a shorter secret is not masked
_MAX_FETCHED = 8  # tokens: the latest ones
_MAX_ESCAPES = 4  # levels of escapes in escapes
_ESCAPE = re.compile(r"(?:%[0-9A-Fa-f]{2})+|\\u[0-9A-Fa-f]{4}|\\.|&#?\w{1,8};|[\s+]+", re.DOTALL)
_BREAK = re.compile("[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass
class _Live:
    """The live secrets, and the runs of characters to mask by their length. Replaced as a whole: threads read them."""

    entered: tuple[str, ...] = ()
    fetched: tuple[str, ...] = ()
    runs: dict[int, set[str]] = field(default_factory=dict)


_live = _Live()
_hiding = Lock()


def hide(secret: str, *, fetched: bool = False) -> str:
    """Mask the secret from now on, and return it. Of `fetched` ones, only the latest eight: tokens are renewed forever."""
    with _hiding:
        if secret and secret not in (*_live.entered, *_live.fetched):
            if fetched:
                _live.fetched = (*_live.fetched, secret)[-_MAX_FETCHED:]
            else:
                _live.entered += (secret,)
            _live.runs = _runs(chain(_live.fetched, *map(_forms, _live.entered)))
    return secret


def forget() -> None:
    """Mask nothing from now on: for tests, which have secrets of their own."""
    _live.entered = _live.fetched = ()
    _live.runs = {}


def masked(text: str) -> str:
    """The text with `***` for each live secret, and for each run of 16 characters of one.

    A secret is found as it is, percent-encoded, JSON- or HTML-escaped, completely or in part, and with white space in it;
    one that was entered also in base64. Takes time linear in the text.
    """
    runs = _live.runs
    if not runs:
        return text
    plain, spans = _unescaped(text)
    hidden = sorted(
        (spans[at][0], spans[at + length - 1][1])
        for length, values in runs.items()
        for at in range(len(plain) - length + 1)
        if plain[at : at + length] in values
        and (length >= _WORD or _is_word(text, spans[at][0], spans[at + length - 1][1]))
    )
    parts, end = [], 0
    for start, stop in hidden:
        if start >= end:
            parts += [text[end:start], _MASK]
        end = max(end, stop)
    return "".join([*parts, text[end:]])


def one_line(text: str, limit: int) -> str:
    """The first `limit` characters, with spaces for line breaks, and control and bidi characters, which steer a terminal
    or turn the direction of writing, written as escapes (`\\x1b`)."""
    text = _BREAK.sub(" ", text[:limit])
    return _STEERS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def shown(text: str, limit: int = MAX_MESSAGE) -> str:
    """Text for a message, which may quote others: masked, then cut."""
    return one_line(masked(text[:_MAX_READ]), limit)


def _runs(forms: Iterable[str]) -> dict[int, set[str]]:
    runs: dict[int, set[str]] = {}
    for plain in (_unescaped(form)[0] for form in forms):
        if len(plain) >= _SHORTEST:
            length = min(len(plain), _RUN)
            runs.setdefault(length, set()).update(plain[at : at + length] for at in range(len(plain) - length + 1))
    return runs


def _forms(secret: str) -> Iterator[str]:
    """The secret as it is, and in base64 at each offset in a longer text."""
    yield secret.strip()
    raw = secret.encode("utf-8", "replace")
    for pad in range(3):
        yield b64encode(b"\0" * pad + raw + b"\0" * 3)[(pad * 8 + 5) // 6 :][: len(raw) * 4 // 3 - 2].decode()


def _unescaped(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without escapes and white space (`+` is a space in a form), and the span that each character comes from."""
    spans = [(at, at + 1) for at in range(len(text))]
    for _ in range(_MAX_ESCAPES):
        parts, kept, end = [], list[tuple[int, int]](), 0
        for found in _ESCAPE.finditer(text):
            start, stop = found.span()
            character = _character(found[0])
            parts += [text[end:start], character]
            kept += [*spans[end:start], *([(spans[start][0], spans[stop - 1][1])] * len(character))]
            end = stop
        if not parts:
            break
        text, spans = "".join([*parts, text[end:]]), kept + spans[end:]
    return text, spans


def _character(escape: str) -> str:
    if escape[0] == "%":
        return unquote(escape)
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[0] == "\\":
        return chr(int(escape[2:], 16)) if len(escape) == 6 else escape[1]
    return ""


def _is_word(text: str, start: int, end: int) -> bool:
    return not (text[max(0, start - 1) : start].isalnum() or text[end : end + 1].isalnum())
