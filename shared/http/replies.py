"""What came back, or did not, in the words of `shared.errors`. Pure functions: no call is made here."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

from shared import times
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http import body as bodies
from shared.http import wire
from shared.masking import shown

UNREACHABLE, UNTRUSTED = 0, -1  # keys of advice beside the statuses: there was no answer, or no trusted TLS
_CUT = "the connection was cut"
_HANDSHAKE_CUT = re.compile(r"(?i)_EOF_|\bEOF\b|ZERO_RETURN|connection ?reset")
_DETAIL_KEYS = ("title", "detail", "message", "error_description", "error", "errors", "code", "errorCode")


def failure(
    who: str,
    response: requests.Response,
    body: bytes | bytearray,
    advice: Mapping[int, str],
) -> ConnectorError | None:
    """The error a reply's status stands for; None for 2xx. What the body says is quoted."""
    status = response.status_code
    if 200 <= status < 300:
        return None
    doing = f"{response.request.method} {response.request.path_url.split('?', 1)[0]}"
    said = f"{who} answered HTTP {status} to {doing}{detail(body)}."
    match status:
        case 401:
            what = advice.get(401, "Check the credentials in the configuration.")
            return ActionNeeded(f"{who} refused the credentials on {doing} (HTTP 401). {what}", status=status)
        case 403:
            what = advice.get(403, "Check what the credential is allowed to read.")
            return ActionNeeded(f"{who} forbids {doing} with this credential (HTTP 403). {what}", status=status)
        case 404 | 405 | 410:
            what = advice.get(404, "Check the configured URL.")
            return ActionNeeded(f"{said} {what}", status=status)
        case _ if 300 <= status < 400:
            what = f"It redirects to {shown(response.headers.get('Location', 'nowhere'), 200)!r}. Check the configured URL."
            return ActionNeeded(f"{said} {what}", status=status)
        case 429:
            wait = times.retry_after(response.headers, limited=True)
            return TryAgain(f"{said} Too many calls; the connector slows down.", status=status, retry_after=wait)
        case 408 | 425 | 500 | 502 | 503 | 504:
            wait = times.retry_after(response.headers, limited=status == 503)
            later = TryAgain(f"{said} The connector tries again later.", status=status, retry_after=wait)
            later.may_be_size = status != 425 and wait is None
            return later
    what = advice.get(status, "The connector tries again later; if this persists, report it with this message.")
    error = UnexpectedReply(f"{said} {what}", status=status)
    error.may_be_size = status >= 500
    return error


def parsed(
    who: str,
    response: requests.Response,
    body: bytes | bytearray,
    may_be_empty: Collection[int] = (202, 204),
    parse: bodies.Parse = bodies.parse,
) -> Any:
    """The JSON of a 2xx reply; None for an empty one of a status that may be. UnexpectedReply when there is none, or
    when its values would fill the memory."""
    empty = not body or body.isspace()  # `strip` would copy it
    if empty and response.status_code in may_be_empty:
        return None
    doing = f"{response.request.method} {response.request.path_url.split('?', 1)[0]}"
    if not bodies.fits(body):
        most = bodies.MAX_MEMORY // (1024 * 1024)
        raise _of_size(UnexpectedReply(f"{who} answered {doing} with values that fill more than {most} MiB of memory."))
    try:
        return parse(body)
    except ValueError:
        pass
    status = response.status_code
    if empty:
        raise UnexpectedReply(f"{who} answered {doing} with an empty body (HTTP {status}).", status=status)
    if body.lstrip()[:1] == b"<":
        raise UnexpectedReply(
            f"{who} answered {doing} with an HTML page instead of JSON (HTTP {status}). Check that the configured URL is the "
            "API's and that no proxy, login or maintenance page stands in between.",
            status=status,
        )
    raise UnexpectedReply(f"{who} answered {doing} with something that is not JSON (HTTP {status}).", status=status)


def unreachable(who: str, host: str, error: Exception, advice: Mapping[int, str] | None = None) -> ConnectorError:
    """A call that brought no whole reply: DNS, TLS, connection, timeout, a body cut short or without end."""
    advice = advice or {}
    check = advice.get(UNREACHABLE, "Check the configured URL and its port, the network and the proxy.")
    trust = "Check the host name, and that its certificate is valid and signed by an authority this machine knows."
    match error:
        case wire.TooLarge():
            return _of_size(UnexpectedReply(f"{who} ({host}) sent more than {error} in one reply; it was not read."))
        case wire.TooSlow():
            return _of_size(TryAgain(f"{who} ({host}) did not finish its reply within {wire.MAX_SECONDS:.0f} s."))
        case requests.exceptions.SSLError() | SSLError() if _HANDSHAKE_CUT.search(str(error)):
            return TryAgain(f"{who} at {host} cut the connection while it was secured (TLS). {check}")
        case requests.exceptions.SSLError() | SSLError():
            return ActionNeeded(
                f"No trusted TLS connection to {who} at {host}: {_cause(error)}. {advice.get(UNTRUSTED, trust)}"
            )
        case requests.exceptions.ProxyError():
            return TryAgain(f"The proxy did not lead to {who} at {host}: {_cause(error)}. Check the proxy settings.")
        case requests.exceptions.ConnectTimeout():
            return TryAgain(f"{who} at {host} did not accept a connection in time. {check}")
        case requests.exceptions.Timeout() | ReadTimeoutError():
            later = advice.get(UNREACHABLE, "The connector tries again later.")
            return _of_size(TryAgain(f"{who} at {host} did not answer in time. {later}"))
        case HTTPError():  # raised by urllib3 while the body is read
            return _of_size(TryAgain(f"{who} at {host} broke off its reply. The connector tries again later."))
        case requests.exceptions.ConnectionError():
            cause = _cause(error)
            lost = TryAgain(f"{who} could not be reached at {host}: {cause}. {check}")
            return _of_size(lost) if cause == _CUT else lost
    return ActionNeeded(f"{who} cannot be called at {host}: {type(error).__name__}. Check the configuration.")


def _of_size(error: ConnectorError) -> ConnectorError:
    """The same error, of a call that a smaller page may spare."""
    error.may_be_size = True
    return error


def detail(body: bytes | bytearray) -> str:
    """What an error body says, ` (…)`, at most 200 characters; or ""."""
    try:
        words = " ".join(dict.fromkeys(_texts(bodies.parse(body[:65536])))).strip()
    except (ValueError, RecursionError):
        return ""
    return f" ({shown(words, 200)})" if words else ""


def _texts(value: Any) -> list[str]:
    """The texts in the places where the vendors put their explanation."""
    match value:
        case str():
            return [" ".join(value.split())]
        case list():
            return [text for item in value[:3] for text in _texts(item)]
        case dict():
            return [text for key in _DETAIL_KEYS for text in _texts(value.get(key))]
    return []


def _cause(error: Exception) -> str:
    """The innermost reason of a wrapped network error, in a few words and without the URL's query."""
    text = str(error)
    for pattern, words in (
        (r"Name or service not known|getaddrinfo|Failed to resolve|name resolution", "the host name is unknown"),
        (r"Connection refused", "the connection was refused"),
        (r"Connection reset|ConnectionResetError|Remote end closed|aborted", _CUT),
        (r"No route to host|Network is unreachable", "there is no route to it"),
        (r"(?:hostname|IP address) mismatch|doesn't match", "the certificate is for another host name"),
        (r"self.signed certificate|unable to get local issuer", "the certificate's authority is not known here"),
        (r"certificate has expired", "the certificate has expired"),
        (r"WRONG_VERSION_NUMBER|wrong version number", "it does not speak TLS on this port"),
    ):
        if re.search(pattern, text, re.IGNORECASE):
            return words
    return type(error).__name__
