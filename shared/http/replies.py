"""Replies as errors of `shared.errors`: who has to act, and the reason that the API gives. No call is made here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import requests

from shared import times
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http import body as bodies
from shared.masking import shown

_MAX_READ = 65_536  # bytes of an error's body
_REASONS = (
    "title", "detail", "message", "error_description", "errorSummary", "reason", "error", "errors", "error_summary",
    "non_field_errors", "code", "errorCode",
)  # fmt: skip
"""Where APIs put their explanation, the plainest first; a code is used where there is no text."""
_CODES = frozenset({"error", "code", "errorCode"})
_ACCOUNT = re.compile(r"(?i)licen[cs]e|subscription|suspend|\btrial\b|maintenance|not active|deactivated")
_CREDENTIAL = {401: "Check the credentials in the configuration.", 403: "Check what the credential is allowed to read."}
_TITLE = re.compile(r"(?is)<title[^>]{0,200}>([^<]{0,400})")
_IN_BETWEEN = "a page of something in between (proxy, web filter, login)"


def failure(
    who: str, response: requests.Response, body: bodies.Body, advice: Mapping[int, str]
) -> ConnectorError | None:
    """The error that a reply's status means, with the API's own reason; None for 2xx.

    Advice on the credential is given only where the reply is the API's own: web filters refuse with the same statuses.
    """
    status = response.status_code
    if 200 <= status < 300:
        return None
    doing, quoted = _call(response), detail(body)
    host = urlsplit(response.request.url or "").netloc
    through = f"Have the connector let through to {host}, or check the configured URL."
    credential = advice.get(status, _CREDENTIAL.get(status, ""))
    otherwise = advice.get(status, "The connector tries again later; if this persists, report it with this message.")
    empty = not body or body.isspace()
    foreign = not empty and not is_own(body)
    said = f"{who} answered HTTP {status} to {doing}{quoted}."
    if foreign:
        said = f"{who} did not answer {doing}: {_IN_BETWEEN} came back{_titled(body)} (HTTP {status})."
        otherwise = through
    elif empty:
        said = f"{who} answered HTTP {status} to {doing} with an empty body."
    elif status == 401:
        said = f"{who} refused the credentials on {doing} (HTTP 401){quoted}."
    elif status == 403:
        said = f"{who} forbids {doing} with this credential (HTTP 403){quoted}."
    if _ACCOUNT.search(quoted):
        credential = f"This is about your account there, not the credential: ask whoever manages it, or {who}."
    elif body.lstrip()[:1] == b"<":
        credential = through
    elif foreign or empty:  # a few APIs refuse with a bare word, or with nothing
        credential = f"{through} If nothing stands in between: {credential}"
    kind, what = _remedy(response, advice, credential, otherwise)
    wait = times.retry_after(response.headers, limited=status in (429, 503)) if kind is TryAgain else None
    return kind(
        f"{said} {what}",
        status=status,
        quoted=None if foreign else quoted,
        retry_after=wait,
        may_be_size=wait is None and (status == 408 or status >= 500),
    )


def _remedy(
    response: requests.Response, advice: Mapping[int, str], credential: str, otherwise: str
) -> tuple[type[ConnectorError], str]:
    """The class of the error, and what to do: `credential` about a refusal, `otherwise` where nothing else is known."""
    match response.status_code:
        case 401 | 403:
            return ActionNeeded, credential
        case 404 | 405 | 410:
            return ActionNeeded, advice.get(404, "Check the configured URL.")
        case 407:
            return ActionNeeded, "A proxy asks for a user name and a password."
        case status if 300 <= status < 400:
            target = shown(response.headers.get("Location", "nowhere"), 200)
            return ActionNeeded, f"It redirects to {target!r}. Check the configured URL."
        case 429:
            return TryAgain, "Too many calls; the connector slows down."
        case 408 | 425 | 500 | 502 | 503 | 504:
            return TryAgain, "The connector tries again later."
    return UnexpectedReply, otherwise


def parsed(
    who: str,
    response: requests.Response,
    body: bodies.Body,
    may_be_empty: Collection[int] = (202, 204),
    parse: bodies.Parse = bodies.parse,
) -> Any:
    """The JSON of a 2xx reply; None where the body is empty and the status is in `may_be_empty`.

    UnexpectedReply when the body is not JSON, or when its values would fill the memory.
    """
    empty = not body or body.isspace()  # `strip` would copy it
    if empty and response.status_code in may_be_empty:
        return None
    doing = _call(response)
    if not bodies.fits(body):
        most = bodies.MAX_MEMORY // (1024 * 1024)
        said = f"{who} answered {doing} with values that fill more than {most} MiB of memory."
        raise UnexpectedReply(said, may_be_size=True)
    try:
        return parse(body)
    except ValueError:
        pass
    status = response.status_code
    if empty:
        raise UnexpectedReply(f"{who} answered {doing} with an empty body (HTTP {status}).", status=status)
    if not is_own(body):
        raise UnexpectedReply(
            f"{who} did not answer {doing}: {_IN_BETWEEN} came back{_titled(body)} (HTTP {status}). Check that the configured "
            "URL is the API's, and let the connector through.",
            status=status,
        )
    raise UnexpectedReply(f"{who} answered {doing} with something that is not JSON (HTTP {status}).", status=status)


def detail(body: bodies.Body) -> str:
    """The reason that a JSON body gives, `: "…"`, at most 200 characters; "" without one."""
    try:
        found = bodies.parse(body[:_MAX_READ])
        words = " ".join(dict.fromkeys(_texts(found) or _texts(found, codes=True))).strip()
    except (ValueError, RecursionError):
        return ""
    return f': "{shown(words, 200)}"' if words else ""


def is_own(body: bodies.Body) -> bool:
    """Whether a body can be the API's own: JSON, which pages of proxies and web filters are not."""
    start = body[:_MAX_READ].lstrip()
    if start[:1] in (b"{", b"["):  # cut at the bound, it is no longer JSON
        return True
    try:
        bodies.parse(start)
    except ValueError:
        return False
    return True


def _call(response: requests.Response) -> str:
    return f"{response.request.method} {response.request.path_url.split('?', 1)[0]}"


def _titled(body: bodies.Body) -> str:
    """The title of a page, or the first words of a plain text, `: "…"`; "" without any."""
    text = body[:_MAX_READ].decode("utf-8", "replace")
    found = _TITLE.search(text)
    words = unescape(found[1]) if found else "" if "<" in text[:200] else text
    words = " ".join(words.split())
    return f': "{shown(words, 100)}"' if words else ""


def _texts(value: Any, *, codes: bool = False) -> list[str]:
    """The strings at the keys where APIs put their explanation; with `codes`, also the codes of an error."""
    match value:
        case str():
            return [" ".join(value.split())]
        case list():
            return [text for item in value[:3] for text in _texts(item, codes=codes)]
        case dict():
            keys = [key for key in _REASONS if codes or key not in _CODES or not isinstance(value.get(key), str)]
            return [text for key in keys for text in _texts(value.get(key), codes=codes)]
    return []
