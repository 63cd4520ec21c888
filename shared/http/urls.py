"""Addresses that a service names for others of its services: where a token may go beside the configured host."""

from __future__ import annotations

import re

from shared.errors import UnexpectedReply
from shared.http.session import origin
from shared.runtime.settings import https_url, is_loopback

_DOMAIN = re.compile(r"([a-z0-9-]+\.)+[a-z][a-z0-9-]*")  # of two labels or more, and no address


def sibling(who: str, link: str, home: str) -> str:
    """An address beside `home`, ready for calls; UnexpectedReply unless the token for `home` may go there too.

    It may where `home` itself is, and over https to any host under the same parent domain: api-eu.example.com beside
    api.example.com. http:// is made https://. Where `home` is this very machine, any of its ports will do.
    """
    _, home_host, _ = here = origin(home)
    local = is_loopback(home_host.strip("[]"))
    try:
        url = https_url(link if local else re.sub(r"(?i)^\s*http://", "https://", link))
        scheme, host, port = there = origin(url)
    except ValueError:
        raise UnexpectedReply(
            f"{who} named a host by something that is no https URL; nothing was sent there."
        ) from None
    domain = home_host.partition(".")[2]
    beside = host.endswith(f".{domain}") and bool(_DOMAIN.fullmatch(domain)) and (scheme, port) == ("https", 443)
    if not (there == here or beside or (local and host == home_host)):
        raise UnexpectedReply(
            f"{who} named the host {host}:{port}, which is not under the domain of the configured one ({home_host}); "
            "nothing was sent there. Check the configured address."
        )
    return url
