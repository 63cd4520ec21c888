"""No secret leaves but to where it belongs: every module through good and bad paths, every place it could show looked at.

Looked for are the customer's secrets, the platform's API key and token, and what was fetched with them, as `search.forms`
has them. What the commands of `sekoia-lab` show is searched in `tests/test_secrets_of_commands.py`.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote

import pytest
import requests
from flask import Response, request
from pydantic import BaseModel, SecretStr, ValidationError
from sekoia_automation.exceptions import ModuleConfigurationError

from lab.modules import MODULES, LabModule
from lab.platform.faults import Html, Status, Truncated, WrongShape
from lab.platform.local import LocalPlatform
from lab.platform.server import LocalServer
from lab.process import ModuleProcess
from shared.runtime.settings import configuration_error
from tests.endless import with_texts
from tests.search import Echoes, Report, assert_nowhere, echo, fetched, files_in, secrets_of
from tests.suites import OF_ALERTS, OF_DEVICES, slow_but_for
from tests.waiting import HANGS, until

SECRET = "s3cret/with+odd=signs"

each_module = pytest.mark.parametrize("name", slow_but_for(MODULES, OF_DEVICES))
each_process = pytest.mark.parametrize(
    ("module", "command"),
    [
        pytest.param(
            module, command, id=command, marks=[pytest.mark.slow] * (module.name not in (OF_DEVICES, OF_ALERTS))
        )
        for module in MODULES.values()
        for command in (module.command, *([module.changes_command] if module.changes else []))
    ],
)


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


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with Sentry() as sentry:
        yield sentry


def healths(process: ModuleProcess, rounds: int) -> list[Any]:
    """All that `/health` answers until so many rounds have ended: each has an error of its own."""
    seen: list[Any] = []
    until(lambda: seen.append(process.health()) or bool(seen[-1] and seen[-1]["cycles"] >= rounds), HANGS)
    return seen


ECHOES = (
    *(Echoes(400), Echoes(500), Echoes(400, cut=150), Echoes(418, cut=190)),
    *(
        Echoes(302, location=to)
        for to in ("/echoed/{}/again", "https://{}.example/", "//[{}", "https://elsewhere.example/{}")
    ),
)


@each_process
def test_a_module_shows_no_secret_on_good_and_bad_paths(
    module: LabModule, command: str, sentry: Sentry, tmp_path: Path, record_property: Report
) -> None:
    """A process, with all that one shows: its arguments, output, metrics, health and files."""
    with module.simulated(20) as console, LocalPlatform() as platform:
        settings = module.settings_for(console)
        told = echo([str(settings[name]) for name in module.secrets])
        known = quote(str(settings[module.secrets[0]]), safe="")
        for number, fault in enumerate(
            (Status(400, told), Status(401, told), Html(403), WrongShape([told]), Truncated(), *ECHOES)
        ):
            console.fault(fault, skip=number * 2, times=2)
        console.fault(Echoes(400), match="token", skip=1)
        console.fault(Echoes(307, location="https://elsewhere.example/?password={}"), match="token", skip=1)
        console.fault(
            WrongShape(with_texts(module.endless_page, lambda _: f"//{known}.example/{known}")), skip=30, times=2
        )
        platform.fault(Status(403, echo([platform.api_key])), match="push", times=1)
        platform.fault(Status(403, echo([platform.token])), match="callback", times=1)
        platform.fault(Status(403, echo([platform.intake_key])), match="intake", times=1)
        platform.fault(Status(500, told), match="logs", times=2)
        process = ModuleProcess(
            module,
            platform,
            settings,
            {"frequency": 1, "include_existing": True},
            tmp_path / "data",
            log=tmp_path / "module.log",
            command=command,
            environment={"CONNECTOR_WAIT_SCALE": "0.001", "SENTRY_DSN": sentry.dsn, "ENVIRONMENT": "test"},
        )
        with process:
            health = "".join(map(json.dumps, healths(process, rounds=16)))
            metrics = requests.get(process.metrics_url, timeout=HANGS).text
            arguments = Path(f"/proc/{process.pid}/cmdline").read_text()
        until(lambda: sentry.envelopes)
        calls = console.calls + platform.calls
        secrets = secrets_of(module, settings, platform) | fetched(console, calls)
        shown = {
            "health": health,
            "metrics": metrics,
            "arguments": arguments,
            "output": process.log.read_text(),
            "logs on the platform": json.dumps([log.message for log in platform.logs]),
            "Sentry": "\n".join(sentry.envelopes),
            "headers": str([{**call.headers, "Authorization": ""} for call in calls]),
            "URLs": str([(call.path, call.query) for call in calls if not call.path.startswith("/echoed/")]),
        }
        states = files_in(tmp_path / "data")
    assert all(shown.values()), {place for place, text in shown.items() if not text}
    assert "User-Agent" in shown["headers"]
    traced = [
        name for call in calls for name in call.headers if name.lower() in ("sentry-trace", "baggage", "traceparent")
    ]
    assert not traced, "calls to others carry the trace headers of Sentry"
    assert any(name.endswith("context.json") for name in states)
    assert_nowhere(secrets, shown | states, record_property)


@each_module
def test_a_bug_reported_to_sentry_brings_no_local_variables(name: str, sentry: Sentry, tmp_path: Path) -> None:
    """Frames hold headers, tokens and records: Sentry's SDK sends them with a traceback unless told not to.

    A process: Sentry's client is one of the whole interpreter.
    """
    module = MODULES[name]
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


# --- the models that hold them


def models() -> Iterator[tuple[LabModule, type[BaseModel]]]:
    """The module's settings, and the arguments of its connector and its trigger."""
    for module in MODULES.values():
        for holder in (module.module, module.connector, module.changes):
            if holder:
                yield module, get_type_hints(holder)["configuration"]


def is_secret(model: type[BaseModel], field: str) -> bool:
    annotation = model.model_fields[field].annotation
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())


def secret_fields() -> list[Any]:
    return [
        pytest.param(module, model, field, id=f"{module.name}-{field}")
        for module, model in models()
        for field in model.model_fields
        if is_secret(model, field)
    ]


def entered(module: LabModule, model: type[BaseModel]) -> dict[str, Any]:
    """The settings as a customer enters them, correct in every field."""
    with module.simulated(0) as console:
        return {"intake_key": "an-intake-key"} if model is not settings_model(module) else module.settings_for(console)


def settings_model(module: LabModule) -> Any:
    return get_type_hints(module.module)["configuration"]


def test_what_is_named_like_a_secret_is_held_as_one() -> None:
    named = [
        (model, field)
        for _, model in models()
        for field in model.model_fields
        if re.search("token|password|secret|key", field)
    ]
    assert len({field for _, field in named}) >= 6
    assert [(model, field) for model, field in named if not is_secret(model, field)] == []


def test_each_module_has_a_secret_field_that_its_manifest_names() -> None:
    found = {(case.values[0].name, case.values[2]) for case in secret_fields()}
    assert {(module.name, field) for module in MODULES.values() for field in module.secrets} <= found


@pytest.mark.parametrize(("module", "model", "field"), secret_fields())
def test_a_secret_field_shows_nothing_of_what_it_holds(module: LabModule, model: type[BaseModel], field: str) -> None:
    holding = model.model_validate({**entered(module, model), field: SECRET})
    for _ in ("validated", "assigned, as the platform hands it out"):
        assert isinstance(getattr(holding, field), SecretStr)
        assert getattr(holding, field).get_secret_value() == SECRET
        shown = {"printed": f"{holding!r} {holding}", "dumped": f"{holding.model_dump()} {holding.model_dump_json()}"}
        assert_nowhere({SECRET}, shown)
        setattr(holding, field, SECRET)


@pytest.mark.parametrize(("module", "model", "field"), secret_fields())
def test_no_error_repeats_a_secret_whatever_field_it_was_entered_in(
    module: LabModule, model: type[BaseModel], field: str
) -> None:
    """Also where it was pasted into the box beside, or comes as a list."""
    right = entered(module, model)
    wrong = [{**right, field: [SECRET]}, {**right, field: {"value": SECRET}}]
    wrong += [
        {**right, other: value} for other in model.model_fields for value in (SECRET, [SECRET], f"https://{SECRET}@x")
    ]
    refused = 0
    for configuration in wrong:
        try:
            model.model_validate(configuration)
        except ValidationError as error:
            refused += 1
            assert_nowhere(
                {SECRET}, {"error": f"{error} {error!r}", "told": configuration_error(error), **traced(error)}
            )
    assert refused >= 3
    if model is settings_model(module):
        with pytest.raises(ModuleConfigurationError) as caught:
            _ = module.configured(wrong[0]).configuration
        said = {"error": f"{caught.value} {caught.value!r}", "told": configuration_error(caught.value)}
        assert_nowhere({SECRET}, said | traced(caught.value))


def traced(error: BaseException) -> dict[str, str]:
    return {"traceback": "".join(traceback.format_exception(error))}


def test_every_form_of_a_secret_is_recognised() -> None:
    for text in (
        SECRET,
        quote(SECRET, safe=""),
        base64.b64encode(f"user:{SECRET}".encode()).decode(),
        base64.b64encode(f"me:{SECRET}@".encode()).decode(),
        base64.b64encode(f"x{SECRET}yz".encode()).decode(),
    ):
        with pytest.raises(AssertionError):
            assert_nowhere({SECRET}, {"here": f"before {text} after"})
    assert_nowhere({SECRET}, {"here": "nothing of it"})
