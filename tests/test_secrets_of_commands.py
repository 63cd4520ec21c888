"""No command of `sekoia-lab` shows a secret: each is run with some, on a good and on a bad path, or takes no credential."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lab.cli import app
from lab.commands import demo
from lab.kinds import DEVICES
from lab.modules import MODULES, LabModule
from lab.platform.faults import Status
from lab.platform.local import LocalPlatform
from lab.platform.server import LocalServer
from tests.search import Report, assert_nowhere, echo, fetched, files_in, secrets_of
from tests.suites import slow_but_for

TAKES_NO_CREDENTIAL = {
    "bench": "it measures simulated consoles and prints figures; it is given names and numbers",
    "export": "it copies a module's files, which hold none; it is given a name and a folder",
    "form": "it shows the boxes of a manifest, empty; it is given a name",
    "release": "it raises the version in a module's files, which hold none; it is given a name and a step",
    "new-vendor": "it writes the beginning of a module; it is given a name",
}
CREDENTIALS = {"module_config", "connector_config"}  # the options through which one comes

each_module = pytest.mark.parametrize("name", slow_but_for(MODULES, "ESET", "CheckpointHarmony"))
good_or_bad = pytest.mark.parametrize("good", [True, False], ids=["good", "bad"])


def command_lines(module: LabModule, folder: Path) -> dict[str, list[list[object]]]:
    """How each command that is given credentials is run, by its name; `demo` makes its own."""
    right, broken = (["--module-config", folder / f"{name}.json"] for name in ("module", "broken"))
    run = ["--connector-config", folder / "connector.json", "--data", folder / "data", "--once"]
    lines: dict[str, list[list[object]]] = {
        "check": [right, broken],
        "preview": [[*right, "--json"], right, broken],
        "run": [[*right, *run, "--out", folder / "sent.jsonl"], [*broken, *run]],
        "map": [[folder / "records.json"]],
    }
    if module.kind is DEVICES:  # the settings by mistake; an alert is sent whole, whatever it holds
        lines["map"].append([folder / "module.json"])
    return lines


def test_each_command_is_searched_for_secrets_or_takes_none() -> None:
    commands = typer.main.get_command(app).commands
    searched = {*command_lines(MODULES["SentinelOne"], Path()), "demo"}
    new = commands.keys() - searched - TAKES_NO_CREDENTIAL.keys()
    assert not new, f"{new}: run it with secrets in `command_lines`, or say in TAKES_NO_CREDENTIAL why it can have none"
    for name in commands.keys() & TAKES_NO_CREDENTIAL.keys():
        assert not {option.name for option in commands[name].params} & CREDENTIALS, name
    assert searched | TAKES_NO_CREDENTIAL.keys() == commands.keys()


@each_module
@good_or_bad
def test_no_command_shows_a_secret(name: str, good: bool, tmp_path: Path, record_property: Report) -> None:
    module = MODULES[name]
    with module.simulated(5) as console, LocalPlatform() as platform:
        settings = module.settings_for(console)
        secrets = secrets_of(module, settings, platform)
        if not good:
            console.fault(Status(401, echo([str(settings[name]) for name in module.secrets])), times=None)
        entered: dict[str, Any] = {
            "module": settings,
            "broken": {**settings, **{name: [sorted(secrets)] for name in module.secrets}},
            "connector": {"intake_key": platform.intake_key},
            "records": [
                {**console.record(one), **settings} if module.kind is DEVICES else console.record(one)
                for one in console.ids
            ],
        }
        for file, content in entered.items():
            (tmp_path / f"{file}.json").write_text(json.dumps(content))
        places = {}
        for command, lines in command_lines(module, tmp_path).items():
            for line in lines:
                words = [command, module.name, *map(str, line)]
                places[" ".join(words)] = output_of(words, MODULE_CONFIGURATION=json.dumps(settings))
        places |= files_in(tmp_path / "data", *tmp_path.glob("sent.jsonl"))
        secrets |= fetched(console, console.calls)
    assert all(places.values())
    assert_nowhere(secrets, places, record_property)


def output_of(words: list[str], **environment: str) -> str:
    """The output of a command, and its traceback if it crashes."""
    done = CliRunner().invoke(app, words, env=environment)
    return done.output + "".join(traceback.format_exception(done.exception) if done.exception else ())


@good_or_bad
def test_the_demo_shows_no_secret(
    good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Report
) -> None:
    """It makes its credentials itself: they are taken from its own consoles and its own platform, which are watched."""
    consoles: dict[str, LocalServer] = {}
    platforms: list[LocalPlatform] = []

    made = LabModule.simulated

    def simulated(module: LabModule, records: int) -> LocalServer:
        console = consoles[module.name] = made(module, records)
        if not good:
            own = [value for value in vars(console).values() if isinstance(value, str) and value]
            console.fault(Status(401, echo(own)), times=None)
        return console

    class Watched(LocalPlatform):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            platforms.append(self)

    monkeypatch.setattr(LabModule, "simulated", simulated)
    monkeypatch.setattr(demo, "LocalPlatform", Watched)
    done = CliRunner().invoke(app, ["demo", "--devices", "5", "--out", str(tmp_path / "out")])
    assert done.exit_code == (0 if good else 1), done.output
    [platform] = platforms
    secrets = fetched(None, platform.calls)
    for name, console in consoles.items():
        secrets |= secrets_of(MODULES[name], MODULES[name].settings_for(console), platform)
        secrets |= fetched(console, console.calls)
    places = {"output": done.output, **files_in(tmp_path / "out")}
    assert {"out/report.html", *(["out/sent.jsonl"] if good else [])} <= places.keys()
    assert "What was collected" in places["output"]
    assert_nowhere(secrets, places, record_property)
