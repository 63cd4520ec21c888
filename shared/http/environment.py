"""The bundle of authorities and the proxy that the process's environment names.

Both are checked before a call is made: `requests` and urllib3 raise an error of any kind when they cannot be used.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from shared.errors import ActionNeeded
from shared.masking import hide

BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The variables that name a file of authorities (the first two: or a folder); the first that is set counts."""


def bundle() -> str:
    """The file or folder of the authorities to trust; ActionNeeded when the environment's cannot be used."""
    name = next((name for name in BUNDLES if os.environ.get(name, "").strip()), None)
    if name is None:
        return str(DEFAULT_CA_BUNDLE_PATH)
    path = os.environ[name].strip()
    try:
        _load(path)
    except ssl.SSLError:
        wrong = "which contains no certificate in PEM form"
    except OSError as error:
        wrong = f"which cannot be read ({error.strerror})"
    else:
        return path
    raise ActionNeeded(
        f"The environment variable {name} names {path}, {wrong}. Correct or remove it: no server can be trusted before."
    )


def bundle_to_report_with() -> str:
    """As `bundle`; the usual authorities where it cannot be used, so that its error reaches the platform."""
    try:
        return bundle()
    except ActionNeeded:
        return str(DEFAULT_CA_BUNDLE_PATH)


@lru_cache(maxsize=8)
def _load(path: str) -> None:
    """Raise an OSError (SSLError is one) unless certificates can be read from the file."""
    if not Path(path).is_dir():  # a folder's certificates are looked up by name when they are needed
        ssl.create_default_context(cafile=path)


class Proxy(NamedTuple):
    """`url` may contain a password, `name` (host and port) does not; `variable` is the one of the environment."""

    url: str
    name: str
    variable: str


def proxy(url: str) -> Proxy | None:
    """The proxy that the environment names for calls to a URL; None without one. ActionNeeded when it cannot be used.

    Without a scheme it is http, as for curl. `NO_PROXY` counts.
    """
    value = select_proxy(url, get_environ_proxies(url))
    if not value:
        return None
    names = (f"{urlsplit(url).scheme}_proxy", "all_proxy")
    variable = next((name for name in os.environ if name.lower() in names and os.environ[name] == value), "HTTPS_PROXY")
    address = value.strip().strip("\"'")
    address = address if "://" in address else f"http://{address}"
    try:
        parts = parse_url(address)
    except LocationParseError:
        parts = parse_url("")
    scheme = parts.scheme or ""
    if scheme.startswith("socks") and not find_spec("socks"):
        wrong = "is a SOCKS proxy, which needs the Python package PySocks"
    elif not parts.host or parts.path not in (None, "/") or parts.query or parts.fragment:
        wrong = "is not an address, or a character of its password is not percent-encoded (%40 for @, %23 for #)"
    elif not scheme.startswith(("http", "socks")):
        wrong = "has a scheme other than http and https"
    else:
        hide((parts.auth or "").partition(":")[2])
        return Proxy(address, parts.netloc or "", variable)
    raise ActionNeeded(
        f"The proxy in the environment variable {variable} {wrong}. Enter it as http://host:port or "
        "http://user:password@host:port."
    )
