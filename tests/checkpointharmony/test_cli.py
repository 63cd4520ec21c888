"""`sekoia-lab` for alerts, as a person or a script runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.consoles.checkpoint import SimulatedHarmonyMobile
from lab.modules import MODULES
from tests.lab.command_line import lab, lines

NAME = "CheckpointHarmony"
SAMPLE = Path(__file__).parent / "payloads" / "specification_both_dates.json"
GOLDEN = Path(__file__).parent / "golden" / "specification_both_dates.json"


@pytest.fixture
def console() -> Iterator[SimulatedHarmonyMobile]:
    with SimulatedHarmonyMobile() as console:
        console.has(12)
        yield console


@pytest.fixture
def config(console: SimulatedHarmonyMobile, tmp_path: Path) -> Path:
    path = tmp_path / "module.json"
    path.write_text(json.dumps(MODULES[NAME].settings_for(console)))
    return path


def test_map_prints_the_normalised_event() -> None:
    record = json.loads(SAMPLE.read_text())["record"]
    done = lab("map", NAME, stdin=json.dumps(record).encode())
    assert (done.returncode, done.stderr) == (0, "")
    assert lines(done.stdout) == [json.loads(GOLDEN.read_text())]


def test_map_names_each_record_it_cannot_map_in_one_line() -> None:
    done = lab("map", NAME, stdin=b'{"id":1}\nno json\n42\n{"id":2,"number":NaN}\n{}\n')
    assert done.returncode == 1
    assert len(lines(done.stdout)) == 2
    assert done.stderr.splitlines() == [
        "record 2: record: is not JSON",
        "record 3: record: is a number, not an object",
        "record 4: number: NaN is not a JSON number",
    ]


def test_check_says_yes_and_no(console: SimulatedHarmonyMobile, config: Path) -> None:
    done = lab("check", NAME, "--module-config", config)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Yes.")
    console.secret_key = "another"
    done = lab("check", NAME, "--module-config", config)
    assert done.returncode == 1
    assert "refused the credentials" in done.stderr
    assert "Traceback" not in done.stderr


def test_preview_shows_so_many_alerts_and_writes_nothing(config: Path) -> None:
    before = set(config.parent.iterdir())
    done = lab("preview", NAME, "--module-config", config, "--limit", "5", "--json")
    assert done.returncode == 0
    assert len(lines(done.stdout)) == 5
    assert "5 alerts read" in done.stderr
    table = lab("preview", NAME, "--module-config", config, "--limit", "5")
    assert table.stdout == ""
    assert "severity" in table.stderr
    assert set(config.parent.iterdir()) == before


def test_a_second_run_over_the_same_data_sends_nothing(config: Path, tmp_path: Path) -> None:
    arguments = tmp_path / "connector.json"
    arguments.write_text('{"intake_key": "of the real intake", "ratelimit_per_minute": 1000}')
    common = ("--module-config", config, "--connector-config", arguments, "--data", tmp_path / "data", "--once")
    first = lab("run", NAME, *common)
    assert first.returncode == 0
    assert len(lines(first.stdout)) == 12
    assert "Alerts by severity" in first.stderr
    second = lab("run", NAME, *common, "--out", tmp_path / "second.jsonl")
    assert (second.returncode, second.stdout) == (0, "")
    assert not (tmp_path / "second.jsonl").exists()
