"""What the world answers in place of devices and alerts: the API itself with its reasons, and what stands in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
    """How a vendor's API puts its reasons, and its settings for a server at an address; `login`: it has one."""

    error: Callable[[str, int], Any]
    settings: Callable[[str], dict[str, Any]]
    login: Callable[[str, int], Any] | None = None
    token: Any = None


APIS = {
    "HarfangLab": Api(lambda reason, _: {"detail": reason}, lambda url: {"url": url}),
    "SentinelOne": Api(
        lambda reason, status: {"errors": [{"code": status * 10_000 + 10, "detail": None, "title": reason}]},
        lambda url: {"hostname": url},
    ),
    "ESET": Api(
        lambda reason, status: {"code": status % 20, "message": reason, "details": []},
        lambda url: {"authentication_url": url, "api_url": url},
        lambda reason, _: {"error": "invalid_grant", "error_description": reason},
        {"access_token": "t", "expires_in": 3600},
    ),
    "Sophos": Api(
        lambda reason, _: {"error": "refused", "message": reason, "correlationId": "c", "code": "E1"},
        lambda url: {"api_host": url, "oauth2_authorization_url": f"{url}/token"},
        lambda reason, _: {"errorCode": "oauth.refused", "message": reason, "trackingId": "t"},
        {"access_token": "t", "expires_in": 3600},
    ),
    "CheckpointHarmony": Api(
        lambda reason, _: {"success": False, "message": reason},
        lambda url: {"authentication_url": url, "base_url": url},
        lambda reason, _: {"success": False, "message": reason},
        {"success": True, "data": {"token": "t", "expiresIn": 1800}},
    ),
}
