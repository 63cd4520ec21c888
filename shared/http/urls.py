"""URLs: those that a setting may have, and those that a token may be sent to besides the configured host."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from urllib3.util import parse_url

from shared.errors import UnexpectedReply

_DOMAIN = re.compile(r"([a-z0-9-]+\.)+[a-z][a-z0-9-]*")  # of two labels or more, and no address
_PORTS = {"http": 80, "https": 443}
_HOST_CHARACTERS = re.compile(r"[A-Za-z0-9._-]+")
_SCHEMES = re.compile(r"(?i)(?:https?(?::/*|//))+")
_WIDE = {code + 0xFEE0: code for code in range(0x21, 0x7F)} | dict.fromkeys((0x3002, 0xFF61), ord("."))


def typed_url(text: str) -> str:
    """A typed URL → as it was meant: full-width characters, missing slashes and a doubled scheme are corrected.

    For settings only: a link that a server sent is not changed.
    """
    text = text.strip().translate(_WIDE)
    if found := _SCHEMES.match(text):
        text = f"{'https' if 'https' in found[0].lower() else 'http'}://{text[found.end() :]}"
    return text


def https_url(value: str) -> str:
    """An https URL without a trailing slash, query or credentials; http only for this very machine."""
    value = value.strip().rstrip("/")
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("is not a web address; enter it as https://host") from None
    misplaced = parts.netloc.find("[") > 0  # `https:[::1]`, put behind `https://`, is read as the host ::1
    if parts.scheme not in ("http", "https") or not host or misplaced:
        raise ValueError("is not a web address; enter it as https://host")
    if "@" in parts.netloc or "?" in value or "#" in value:  # an empty query would swallow the path put after it
        raise ValueError("must have no user name, query or fragment; enter it as https://host")
    if any(letter.isspace() or not letter.isprintable() or letter in '\\"<>^`{|}' for letter in value):
        raise ValueError("contains a space or another character that no URL has; enter it as https://host")
    if "[" not in parts.netloc:  # between brackets is an address, as `urlsplit` found
        _check_name(host)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("has a port that is not a number from 1 to 65535")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https://, so that the credentials are not sent in clear")
    return value


def _check_name(host: str) -> None:
    """ValueError for a host name that cannot exist."""
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        raise ValueError("has a host name with two dots in a row, or with a dot at its beginning")
    too_long = max(map(len, labels)) > 63
    try:
        name = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        name, too_long = "", too_long or "too long" in str(error)
    if too_long or len(name) > 253:
        raise ValueError("has a host name with more than 63 characters between two dots, or more than 253 in all")
    if not _HOST_CHARACTERS.fullmatch(name):
        raise ValueError("has a host name with a character that host names do not have")


def origin_url(value: object) -> object:
    """A bare host, or the address of any page as copied from a browser → the https origin: scheme, host and port."""
    if not isinstance(value, str):
        return value
    scheme, separator, rest = typed_url(value).partition("://")
    host = re.split(r"[/?#]", rest if separator else scheme, maxsplit=1)[0]
    return https_url(f"{scheme if separator else 'https'}://{host}")


def is_loopback(host: str) -> bool:
    """Whether a host is this very machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port, which two URLs must share for a token to go to both; ValueError when it is not a URL.

    Read as `requests` reads it: `urlsplit` sees the host `here` in `https://there\\@here/`, the call goes to `there`.
    """
    parts = parse_url(url)
    scheme = parts.scheme or ""
    return scheme, (parts.host or "").rstrip("."), parts.port or _PORTS.get(scheme)


def sibling(who: str, link: str, home: str) -> str:
    """The link as a URL for calls; UnexpectedReply unless the token for `home` may be sent there, too.

    It may be sent to the origin of `home`, and over https to any host under the same parent domain: to api-eu.example.com
    for api.example.com. http:// is made https://. Where `home` is this very machine, any of its ports is allowed.
    """
    _, home_host, _ = here = origin(home)
    local = is_loopback(home_host.strip("[]"))
    try:
        url = https_url(link if local else re.sub(r"(?i)^\s*http://", "https://", link))
        scheme, host, port = there = origin(url)
    except ValueError:
        raise UnexpectedReply(
            f"{who} named a host with something that is not an https URL; nothing was sent there."
        ) from None
    domain = home_host.partition(".")[2]
    named = all(map(_DOMAIN.fullmatch, (domain, host)))  # a resolver may take `%2f` in a host name for a path
    beside = host.endswith(f".{domain}") and named and (scheme, port) == ("https", 443)
    if not (there == here or beside or (local and host == home_host)):
        raise UnexpectedReply(
            f"{who} named the host {host}:{port}, which is not under the domain of the configured one ({home_host}); "
            "nothing was sent there. Check the configured address."
        )
    return url
