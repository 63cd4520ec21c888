"""What the world answers in place of devices and alerts: the API itself with its reasons, and what stands in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lab.modules import LabModule

PAGE = "<!DOCTYPE html><html><head><title>{}</title></head><body><form><input name=password></form></body></html>"


@dataclass(frozen=True)
class Answer:
    """A reply to one call. `reason` is put into the vendor's own form of an error; else `body` is sent as it is."""

    name: str
    status: int
    reason: str = ""
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether the API itself gave it."""
        return bool(self.reason)


READING = [
    Answer("token expired", 401, "Token has expired"),
    Answer("token unknown", 401, "Invalid token"),
    Answer("no permission", 403, "You do not have permission to perform this action"),
    Answer("tenant suspended", 403, "Tenant is suspended"),
    Answer("licence expired", 403, "Your licence has expired"),
    Answer("console under maintenance", 503, "The console is under maintenance"),
    Answer("rate limit", 429, "Too many requests", headers={"Retry-After": "7"}),
    Answer("page of an old API version", 404, "This version is no longer offered"),
    Answer("parameter refused", 400, "limit is not valid"),
    Answer("fault of the server", 500, "Internal server error"),
    Answer("web filter", 403, body=PAGE.format("Web Page Blocked")),
    Answer("reverse proxy's login", 401, body=PAGE.format("Authorization Required")),
    Answer("login page", 200, body=PAGE.format("Sign in &amp; continue")),
    Answer("login page by redirect", 302, headers={"Location": "https://login.example/?next=/"}),
    Answer("proxy's refusal in plain text", 403, body="Blocked by policy 12."),
    Answer("proxy's user and password", 407, body=PAGE.format("Proxy Authentication Required")),
    Answer("captive portal", 511, body=PAGE.format("Welcome to the guest network")),
    Answer("gateway without its server", 502, body=PAGE.format("502 Bad Gateway")),
    Answer("mesh without its server", 503, body="no healthy upstream"),
    Answer("maintenance page", 503, body=PAGE.format("We will be back soon")),
    Answer("rate limit of a gateway", 429, body=PAGE.format("429 Too Many Requests")),
    Answer("another web server", 404, body=PAGE.format("404 Not Found")),
    Answer("empty refusal", 401),
    Answer("empty ban", 403),
    Answer("empty reply", 200),
    Answer("half of a reply", 200, body='{"data": [{"id"'),
    Answer("nothing but a word", 200, body="OK"),
]
LOGIN = [
    Answer("login: credential unknown", 401, "Invalid credentials"),
    Answer("login: credential refused as RFC 6749 has it", 400, "Password expired"),
    Answer("login: account suspended", 403, "The account is suspended"),
    Answer("login: web filter", 403, body=PAGE.format("Web Page Blocked")),
    Answer("login: web filter with 400", 400, body=PAGE.format("Bad request")),
    Answer("login: login page", 200, body=PAGE.format("Sign in")),
    Answer("login: no token in it", 200, body="{}"),
]


@dataclass(frozen=True)
class Api:
    """How a vendor's API gives its reasons: `error` for a call, `login` where it hands out tokens; and such a token.

    A vendor whose API has a form of its own says so in `tests/<vendor>/answers.py`.
    """

    error: Callable[[str, int], Any] = lambda reason, _: {"message": reason}
    login: Callable[[str, int], Any] = lambda reason, _: {"error": "refused", "error_description": reason}
    token: Any = field(default_factory=lambda: {"access_token": "t", "expires_in": 3600})


def api_of(module: LabModule) -> Api:
    """The vendor's own form, else the usual one."""
    name = f"tests.{module.name.lower()}.answers"
    found: Api = import_module(name).API if find_spec(name) else Api()
    return found


def settings_for(module: LabModule, url: str) -> dict[str, str]:
    """The settings that lead to one server, whatever they are called."""
    properties = module.manifest["configuration"]["properties"].items()
    return {name: url for name, described in properties if "https://" in str(described)}
