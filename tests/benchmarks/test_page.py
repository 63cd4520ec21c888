"""What is shown of the figures: the page, the chart and the command."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import HERE, PAGE
from benchmarks.drawing import draw
from benchmarks.scenarios import Results, Verdict
from benchmarks.tables import filled
from lab.cli import app
from lab.commands import bench as benchmark
from lab.modules import MODULES


@pytest.fixture
def results() -> Results:
    return Results.read(orjson.loads((HERE / "results.json").read_bytes()))


def test_the_tables_of_the_page_are_those_of_the_results(results: Results) -> None:
    """Nobody writes a figure by hand: `make benchmarks` writes the page."""
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text, results) == text
    assert results.growth and results.verdicts
    results.growth[0].peak_mb += 1
    assert filled(text, results) != text


def test_the_results_are_read_as_they_were_written(results: Results) -> None:
    assert Results.read(orjson.loads(orjson.dumps(results.to_json()))) == results


def test_the_chart_holds_a_line_for_each_module_and_floor(results: Results, tmp_path: Path) -> None:
    path = tmp_path / "chart.svg"
    draw(results, path)
    lines = list(ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}polyline"))
    contenders = {(run.module, run.contender) for run in results.growth}
    assert len(lines) == 2 * len(contenders), "cost and memory"
    assert path.read_text(encoding="utf-8") == (PAGE.parent / "performance.svg").read_text(encoding="utf-8")


def test_a_verdict_holds_up_to_its_target() -> None:
    assert Verdict("a", "x", "", 2.0, 2.0).holds
    assert not Verdict("a", "x", "", 2.1, 2.0).holds


@pytest.mark.slow
def test_results_go_to_stdout_and_text_for_people_to_stderr() -> None:
    done = CliRunner().invoke(app, ["bench", "eset", "--devices", "300", "--repeats", "1", "--json"])
    assert done.exit_code == 0
    told = orjson.loads(done.stdout)
    assert [run["contender"] for run in told["measurements"]] == ["floor", "module", "stock"]
    assert told["times_the_floor"]["ESET"] > 1
    assert "ESET" in done.stderr


@pytest.mark.slow
def test_the_check_fails_with_words_when_a_device_costs_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    def allow(times: float) -> None:
        monkeypatch.setitem(benchmark.MODULES, "Sophos", replace(MODULES["Sophos"], times_the_floor=times))

    allow(0.5)
    done = CliRunner().invoke(app, ["bench", "Sophos", "--devices", "200", "--repeats", "1", "--check"])
    assert done.exit_code == 1
    assert "Sophos: a device costs" in done.stderr and "more than 0.70" in done.stderr
    allow(1_000.0)
    assert CliRunner().invoke(app, ["bench", "Sophos", "--devices", "200", "--repeats", "1", "--check"]).exit_code == 0


@pytest.mark.slow
def test_alerts_have_no_floor(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "CheckpointHarmony", "--devices", "200", "--repeats", "1", "--json"])
    told = orjson.loads(done.stdout)
    assert [(run["contender"], run["sent"]) for run in told["measurements"]] == [("module", 200)]
    assert told["times_the_floor"] == {}
