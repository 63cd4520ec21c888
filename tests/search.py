"""Looking for secrets in what a process shows: as they are, base64-encoded (also inside a longer text) and URL-encoded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from lab.modules import LabModule
from lab.platform.calls import Call
from lab.platform.local import LocalPlatform

Report = Callable[[str, object], None]


def forms(secret: str) -> set[str]:
    """A secret as it may show: plain, URL-encoded, base64 at each of the three offsets inside a longer text."""
    raw = secret.encode()
    encoded = {base64.b64encode(b"\0" * pad + raw + b"\0" * 3)[(pad * 8 + 5) // 6 :] for pad in range(3)}
    inner = {text[: len(raw) * 4 // 3 - 2].decode() for text in encoded}
    return {secret, quote(secret, safe=""), quote_plus(secret)} | {part for part in inner if len(part) > 8}


def assert_nowhere(secrets: set[str], places: dict[str, str], report: Report | None = None) -> None:
    """No secret in any form in any place; `report` is told how many of each were searched."""
    looked_for = [(secret, form) for secret in secrets for form in forms(secret)]
    found = [(place, secret) for place, text in places.items() for secret, form in looked_for if form in text]
    assert not found, f"shown in {found}"
    if report:
        report("searched", (len(secrets), len(looked_for), len(places)))


def secrets_of(module: LabModule, settings: dict[str, Any], platform: LocalPlatform) -> set[str]:
    """What the customer entered as a secret, and the platform's keys and token."""
    own = {str(settings[name]) for name in module.secrets}
    return {secret for secret in own | {platform.api_key, platform.token, platform.intake_key} if secret}


def fetched(console: Any, calls: Iterable[Call]) -> set[str]:
    """What was sent as a credential in headers, and the refresh tokens that a console handed out."""
    sent = {call.headers.get("Authorization", "").partition(" ")[2] for call in calls}
    return (sent | set(getattr(console, "refresh_tokens", ()))) - {""}


def echo(secrets: list[str]) -> str:
    """An error body that repeats what it was sent."""
    return json.dumps({"message": " ".join(secrets), "error": secrets, "detail": str(secrets)})


def files_in(*paths: Path) -> dict[str, str]:
    """The files, and those in the folders, by their names and their folders'."""
    found = [one for path in paths for one in ([path] if path.is_file() else path.rglob("*")) if one.is_file()]
    return {f"{path.parent.name}/{path.name}": path.read_bytes().decode("latin-1") for path in found}
