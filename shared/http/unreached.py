"""Calls without a complete reply (name lookup, proxy, TLS, connection, timeout) as errors of `shared.errors`."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError, SSLError

from shared import times
from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http import environment, wire

UNREACHABLE, UNTRUSTED = 0, -1
"""Keys of advice besides the statuses: no server answers at that address; the certificate's authority is not known."""
_CUT = "the connection was cut"
_NO_NAME = "the host name is unknown"
_HANDSHAKE_CUT = re.compile(r"(?i)_EOF_|\bEOF\b|ZERO_RETURN|connection ?reset")
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: (\d{3})")
_CHECK = "Check the configured URL and its port, the network and the proxy."
_CHECK_NAME = "Check the host name in the configuration, and that this machine can look up names (DNS)."
_CONNECTION = (
    (r"Name or service not known|getaddrinfo|Failed to resolve|name resolution", _NO_NAME),
    (r"Connection refused", "the connection was refused"),
    (r"BadStatusLine|LineTooLong", "it does not speak HTTP on this port"),
    (r"Connection reset|ConnectionResetError|Remote end closed|aborted", _CUT),
    (r"No route to host|Network is unreachable", "there is no route to it"),
    (r"timed out", "it does not accept a connection in time"),
    (r"", "no connection was made"),
)
_TRUST = (
    "If a proxy or firewall of your network inspects TLS, or the authority is your own, put its certificate into the file "
    "that REQUESTS_CA_BUNDLE names; otherwise the server has to send its intermediate certificates."
)
_TLS = (
    (
        r"not yet valid",
        "its certificate is not valid yet by this machine's clock ({now})",
        "Set the clock of this machine.",
    ),
    (
        r"certificate has expired",
        "its certificate has expired by this machine's clock ({now})",
        "If the clock is right, the server's certificate has to be renewed.",
    ),
    (
        r"(?:hostname|IP address) mismatch|doesn't match",
        "its certificate is for another host name",
        "Check the host name in the configuration; a certificate for it has to be set up on the server.",
    ),
    (r"self.signed certificate|unable to (?:get|verify)", "its certificate's authority is not known here", ""),
    (
        r"wrong.version.number|http.request|record layer",
        "it does not speak TLS on this port",
        "Check the port of the configured URL.",
    ),
    (
        r"alert",
        "it refused the TLS handshake",
        "It may ask for a client certificate or offer only old versions of TLS, which are not supported.",
    ),
    (r"", "the TLS handshake failed", "Check the host name and the port of the configured URL."),
)


def unreachable(who: str, host: str, error: Exception, advice: Mapping[int, str] | None = None) -> ConnectorError:
    """The error for a call to `who` at `host` (and port) that got no complete reply."""
    advice = advice or {}
    check = advice.get(UNREACHABLE, _CHECK)
    match error:
        case wire.TooLarge():
            said = f"{who} ({host}) sent more than {error} in one reply; it was not read."
            return UnexpectedReply(said, may_be_size=True)
        case wire.TooSlow():
            said = f"{who} ({host}) did not finish its reply within {wire.MAX_SECONDS:.0f} s."
            return TryAgain(said, may_be_size=True)
        case requests.exceptions.ProxyError():
            return _of_proxy(who, host, str(error))
        case requests.exceptions.SSLError() | SSLError() if _HANDSHAKE_CUT.search(str(error)):
            return TryAgain(f"{who} at {host} cut the connection while it was secured (TLS). {check}")
        case requests.exceptions.SSLError() | SSLError():
            return _of_tls(who, host, str(error), advice)
        case requests.exceptions.ConnectTimeout():
            return TryAgain(f"{who} at {host} did not accept a connection in time. {check}")
        case requests.exceptions.Timeout() | ReadTimeoutError():
            later = advice.get(UNREACHABLE, "The connector tries again later.")
            return TryAgain(f"{who} at {host} did not answer in time. {later}", may_be_size=True)
        case HTTPError():  # raised by urllib3 while the body is read
            said = f"{who} at {host} broke off its reply. The connector tries again later."
            return TryAgain(said, may_be_size=True)
        case requests.exceptions.ConnectionError():
            cause = _cause(str(error))
            check = _CHECK_NAME if cause == _NO_NAME else check
            said = f"{who} could not be reached at {host}: {cause}. {check}"
            return TryAgain(said, may_be_size=cause == _CUT)
    return ActionNeeded(f"{who} cannot be called at {host}. Check the configured address.")


def _of_tls(who: str, host: str, text: str, advice: Mapping[int, str]) -> ConnectorError:
    cause, what = next(words for pattern, *words in _TLS if re.search(pattern, text, re.IGNORECASE))
    cause, what = cause.format(now=times.iso(time.time())), what or advice.get(UNTRUSTED, _TRUST)
    return ActionNeeded(f"No trusted TLS connection to {who} at {host}: {cause}. {what}")


def _of_proxy(who: str, host: str, text: str) -> ConnectorError:
    """The error for a connection that a proxy refused, or for a proxy that was not reached."""
    proxy = environment.proxy(f"https://{host}")
    name, variable = (proxy.name, proxy.variable) if proxy else ("of the environment", "HTTPS_PROXY")
    there = f"{who} at {host}"
    if found := _REFUSED_BY_PROXY.search(text):
        status = int(found[1])
        if status == 407:
            wants = "asks for a user name and a password"
            if proxy and "@" in proxy.url:
                wants = "does not accept this user name and password"
            return ActionNeeded(
                f"The proxy {name} {wants} (HTTP 407). Enter them in {variable} as http://user:password@host:port, special "
                "characters percent-encoded (%40 for @)."
            )
        if 400 <= status < 500 and status not in (408, 429):
            return ActionNeeded(
                f"The proxy {name} forbids the connection to {there} (HTTP {status}). Have it allowed there, or add the host "
                "to NO_PROXY if it can be reached without the proxy."
            )
        return TryAgain(
            f"The proxy {name} did not reach {there} (HTTP {status}). If it lasts, ask whoever runs the proxy."
        )
    if "appears to only use HTTP" in text:
        return ActionNeeded(f"The proxy {name} does not speak TLS. Enter its address in {variable} with http://.")
    return TryAgain(
        f"The proxy {name} to {there} could not be reached: {_cause(text)}. Check the address in {variable}."
    )


def _cause(text: str) -> str:
    """The reason of a network error, in a few words and without the URL's query."""
    return next(words for pattern, words in _CONNECTION if re.search(pattern, text, re.IGNORECASE))
