"""Searches the output of a process for secrets, in each form and in pieces; a server that repeats them in each form."""

from __future__ import annotations

import base64
import html
import json
from base64 import b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from flask import Response, request

from lab.modules import LabModule
from lab.platform.calls import Call
from lab.platform.faults import Fault
from lab.platform.local import LocalPlatform

Report = Callable[[str, object], None]
PIECE = 16  # characters of a secret that give it away
AROUND = ("<{}>", "[{}]", "{}!", "/{}/", "x{}", "x{}x", "token={}&x", '{{"t":"{}"}}', "{0},{0}")
FORMS: dict[str, Callable[[str], str]] = {
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded as a path": quote,
    "percent-encoded as a form": quote_plus,
    "percent-encoded in lower case": lambda secret: quote(secret, safe="").lower(),
    "percent-encoded twice": lambda secret: quote(quote(secret, safe=""), safe=""),
    "percent-encoded but for its first half": lambda secret: secret[:9] + quote(secret[9:], safe=""),
    "JSON-escaped": lambda secret: json.dumps(secret)[1:-1],
    "JSON-escaped twice": lambda secret: json.dumps(json.dumps(secret))[3:-3],
    "JSON-escaped as PHP does": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "HTML-escaped": html.escape,
    "in base64": lambda secret: b64encode(f"user:{secret}".encode()).decode(),
    "over two lines": lambda secret: secret[:9] + "\n " + secret[9:],
}


def forms(secret: str) -> set[str]:
    """A secret as it may show: plain, URL-encoded and -decoded, escaped, base64 at each of the three offsets inside a longer
    text; and each piece of 16 characters."""
    raw = secret.encode()
    encoded = {base64.b64encode(b"\0" * pad + raw + b"\0" * 3)[(pad * 8 + 5) // 6 :] for pad in range(3)}
    inner = {text[: len(raw) * 4 // 3 - 2].decode() for text in encoded}
    pieces = {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}
    encoded_forms = {secret, quote(secret, safe=""), quote_plus(secret), unquote(secret), json.dumps(secret)[1:-1]}
    return encoded_forms | pieces | {part for part in inner if len(part) > 8}


def assert_nowhere(secrets: set[str], places: dict[str, str], report: Report | None = None) -> None:
    """No secret in any form in any place; `report` gets how many of each were searched."""
    looked_for = [(secret, form) for secret in secrets for form in forms(secret)]
    found = [(place, secret) for place, text in places.items() for secret, form in looked_for if form in text]
    assert not found, f"shown in {found}"
    if report:
        report("searched", (len(secrets), len(looked_for), len(places)))


def secrets_of(module: LabModule, settings: dict[str, Any], platform: LocalPlatform) -> set[str]:
    """The secrets that the customer entered, and the platform's keys and token."""
    own = {str(settings[name]) for name in module.secrets}
    return {secret for secret in own | {platform.api_key, platform.token, platform.intake_key} if secret}


def fetched(console: Any, calls: Iterable[Call]) -> set[str]:
    """The credentials that were sent in headers, and the refresh tokens that a console handed out."""
    sent = {call.headers.get("Authorization", "").partition(" ")[2] for call in calls}
    return (sent | set(getattr(console, "refresh_tokens", ()))) - {""}


def echo(secrets: list[str]) -> str:
    """An error body that repeats what it was sent."""
    return json.dumps({"message": " ".join(secrets), "error": secrets, "detail": str(secrets)})


def files_in(*paths: Path) -> dict[str, str]:
    """The files, and those in the folders, by their names and their folders'."""
    found = [one for path in paths for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file()]
    return {f"{path.parent.name}/{path.name}": path.read_bytes().decode("latin-1") for path in found}


@dataclass(frozen=True)
class Echoes(Fault):
    """An error that repeats each credential that the call came with, in every form and between other characters;
    `cut` characters before them. With a `location`, a redirect there."""

    code: int
    cut: int = 0
    location: str = ""

    def answer(self) -> Response:
        body = request.get_json(silent=True)
        values = [*request.form.values(), *(body.values() if isinstance(body, dict) else ())]
        sent = [request.headers.get("Authorization", "").partition(" ")[2], *values]
        secrets = [value for value in sent if isinstance(value, str) and len(value) > PIECE] or ["nothing"]
        if self.location:
            return Response(b"", self.code, {"Location": self.location.format(quote(secrets[-1], safe=""))})
        shown = [around.format(secret) for around in AROUND for secret in secrets]
        shown += [form(secret) for form in FORMS.values() for secret in secrets]
        message = "x" * self.cut + " ".join(shown[:: -1 if self.cut else 1])
        return Response(json.dumps({"message": message}), self.code, content_type="application/json")
