"""No secret leaves but to where it belongs: every module through good and bad paths, every place it could show looked at.

Looked for are the customer's secrets, the platform's API key and token, and what was fetched with them: as they are,
base64-encoded (also as part of a longer text) and URL-encoded.
"""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import requests
from flask import Response, request

from lab.faults import Html, Status, Truncated, WrongShape
from lab.modules import MODULES, LabModule
from lab.platform import LocalPlatform
from lab.process import ModuleProcess
from lab.server import LocalServer

each_module = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))


class Sentry(LocalServer):
    """Takes the envelopes of Sentry's SDK."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[str] = []
        self.route("POST", "/api/1/envelope/", "envelope", self._envelope)

    @property
    def dsn(self) -> str:
        return self.url.replace("http://", "http://public@") + "/1"

    def _envelope(self) -> Response:
        body = request.get_data()
        self.envelopes.append((gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode())
        return Response("{}")


def forms(secret: str) -> set[str]:
    """A secret as it may show: plain, URL-encoded, base64 at each of the three offsets inside a longer text."""
    raw = secret.encode()
    encoded = {base64.b64encode(b"\0" * pad + raw + b"\0" * 3)[(pad * 8 + 5) // 6 :] for pad in range(3)}
    inner = {text[: len(raw) * 4 // 3 - 2].decode() for text in encoded}
    return {secret, quote(secret, safe=""), quote_plus(secret)} | {part for part in inner if len(part) > 8}


def assert_nowhere(secrets: set[str], places: dict[str, str]) -> None:
    found = [
        (place, secret) for place, text in places.items() for one in secrets for secret in forms(one) if secret in text
    ]
    assert not found


def _echo(secrets: list[str]) -> str:
    """An error body that repeats what it was sent."""
    return json.dumps({"message": " ".join(secrets), "error": secrets, "detail": str(secrets)})


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with Sentry() as sentry:
        yield sentry


def secrets_of(module: LabModule, settings: dict[str, object], platform: LocalPlatform) -> set[str]:
    own = {str(settings[name]) for name in module.secrets}
    return {secret for secret in own | {platform.api_key, platform.token, platform.intake_key} if secret}


@each_module
def test_a_module_shows_no_secret_on_good_and_bad_paths(module: LabModule, sentry: Sentry, tmp_path: Path) -> None:
    with module.simulated(20) as console, LocalPlatform() as platform:
        settings = module.settings_for(console)
        secrets = secrets_of(module, settings, platform)
        own = [str(settings[name]) for name in module.secrets]
        told = _echo(own)
        for number, fault in enumerate(
            (Status(400, told), Status(401, told), Html(403), WrongShape([told]), Truncated())
        ):
            console.fault(fault, skip=number * 2, times=2)
        platform.fault(Status(403, _echo([platform.api_key])), match="push", times=1)
        platform.fault(Status(403, _echo([platform.intake_key])), match="intake", times=1)
        platform.fault(Status(500, told), match="logs", times=2)
        process = ModuleProcess(
            module,
            platform,
            settings,
            {"frequency": 1},
            tmp_path / "data",
            log=tmp_path / "module.log",
            environment={"CONNECTOR_WAIT_SCALE": "0.01", "SENTRY_DSN": sentry.dsn, "ENVIRONMENT": "test"},
        )
        with process:
            process.wait_for_rounds(7)
            health, metrics = json.dumps(process.health()), requests.get(process.metrics_url, timeout=5).text
            arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        until = time.monotonic() + 5
        while not sentry.envelopes and time.monotonic() < until:
            time.sleep(0.05)
        calls = console.calls + platform.calls
        sent_for = {call.headers.get("Authorization", "").partition(" ")[2] for call in calls} - {""}
        places = {
            "health": health,
            "metrics": metrics,
            "arguments": arguments,
            "output": process.log.read_text(),
            "logs on the platform": json.dumps([log.message for log in platform.logs]),
            "Sentry": "\n".join(sentry.envelopes),
            "user agents": str({call.headers.get("User-Agent") for call in calls}),
            "URLs": str([(call.path, call.query) for call in calls]),
            **{
                f"state {path.name}": path.read_bytes().decode("latin-1")
                for path in (tmp_path / "data").rglob("*")
                if path.is_file()
            },
        }
    assert sentry.envelopes
    looked_at = {"health", "metrics", "arguments", "output", "logs on the platform", "Sentry", "user agents", "URLs"}
    assert looked_at | {"state context.json"} <= set(places)
    assert all(places[place] for place in looked_at)
    assert_nowhere(secrets | sent_for, places)


@each_module
def test_a_bug_reported_to_sentry_brings_no_local_variables(module: LabModule, sentry: Sentry, tmp_path: Path) -> None:
    """Frames hold headers, tokens and records: Sentry's SDK sends them with a traceback unless told not to."""
    script = tmp_path / "bug.py"
    script.write_text(
        f"""
import os, sys
sys.path[:0] = [{str(module.folder)!r}]
os.chdir({str(module.folder)!r})
import sentry_sdk
from {module.module.__module__} import {module.module.__name__} as M
M()
def call(credential):
    headers = {{"X": [credential]}}
    raise RuntimeError("a bug")
try:
    call("a-secret-in-a-frame")
except RuntimeError as error:
    sentry_sdk.capture_exception(error)
sentry_sdk.flush(5)
"""
    )
    subprocess.run(
        [sys.executable, str(script)], env={"SENTRY_DSN": sentry.dsn, "ENVIRONMENT": "t"}, check=True, timeout=60
    )
    text = "\n".join(sentry.envelopes)
    assert "RuntimeError" in text
    assert "headers = " in text  # the line of source is there
    assert "'a-secret-in-a-frame'" not in text.replace('call("a-secret-in-a-frame")', "")
    assert '"vars"' not in text


@each_module
@pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])
def test_no_command_shows_a_secret(module: LabModule, good: bool, tmp_path: Path) -> None:
    with module.simulated(5) as console, LocalPlatform() as platform:
        settings = module.settings_for(console)
        secrets = secrets_of(module, settings, platform)
        if not good:
            console.fault(Status(401, _echo([str(settings[name]) for name in module.secrets])), times=None)
        (tmp_path / "module.json").write_text(json.dumps(settings))
        (tmp_path / "broken.json").write_text(
            json.dumps({**settings, **{name: [sorted(secrets)] for name in module.secrets}})
        )
        (tmp_path / "connector.json").write_text(json.dumps({"intake_key": platform.intake_key}))
        config = ("--module-config", tmp_path / "module.json")
        run = ("--connector-config", tmp_path / "connector.json", "--data", tmp_path / "data", "--once")
        commands = [
            ("check", module.name, *config),
            ("check", module.name, "--module-config", tmp_path / "broken.json"),
            ("preview", module.name, *config, "--json"),
            ("run", module.name, *config, *run, "--out", tmp_path / "sent.jsonl"),
        ]
        places = {}
        for command in commands:
            lab = [str(Path(sys.executable).with_name("sekoia-lab")), *map(str, command)]
            done = subprocess.run(lab, capture_output=True, timeout=90, check=False)
            places[" ".join(map(str, command))] = (done.stdout + done.stderr).decode()
        for path in [tmp_path / "sent.jsonl", *(tmp_path / "data").rglob("*")]:
            if path.is_file():
                places[path.name] = path.read_bytes().decode("latin-1")
    assert_nowhere(secrets, places)


def test_every_form_of_a_secret_is_recognised() -> None:
    secret = "s3cret/with+odd=signs"
    for text in (
        secret,
        quote(secret, safe=""),
        base64.b64encode(f"user:{secret}".encode()).decode(),
        base64.b64encode(f"me:{secret}@".encode()).decode(),
        base64.b64encode(f"x{secret}yz".encode()).decode(),
    ):
        with pytest.raises(AssertionError):
            assert_nowhere({secret}, {"here": f"before {text} after"})
    assert_nowhere({secret}, {"here": "nothing of it"})
