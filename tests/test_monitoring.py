"""docs/monitoring: its rules do what they say, and rules and dashboard name the metrics that a module really has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from lab.modules import MODULES, ROOT
from lab.platform.local import LocalPlatform
from lab.process import ModuleProcess

FOLDER = ROOT / "docs/monitoring"
RULES, TESTS = FOLDER / "alerts.yml", FOLDER / "alerts.test.yml"
ALERT = re.compile(r"^ +- alert: (\w+)\n +expr: (?:>-\n((?: {10}.+\n)+)|(.+)\n)", re.MULTILINE)
WORDS = {"by", "on", "and", "unless", "or", "ignoring", "without"}
OF_PROMETHEUS = {"up"}, {"job", "instance"}
"""The metrics and labels that Prometheus adds by itself."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian's package prometheus)"
)


def promtool(*words: str | Path) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> dict[str, str]:
    """Alert → its expression."""
    found = ALERT.findall(RULES.read_text(encoding="utf-8"))
    return {name: " ".join((folded or line).split()) for name, folded, line in found}


def panels() -> dict[str, str]:
    """Panel and target of the dashboard → its expression."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }


EXPRESSIONS = rules() | panels()


def metrics_in(expression: str) -> set[str]:
    """The names that are neither labels, functions nor words of the language."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|ignoring|without) \([^)]*\)', " ", expression)
    return {name for name in re.findall(r"\b([a-z_]\w*)\b(?!\s*\()", bare) if name not in WORDS}


def labels_in(expression: str) -> set[str]:
    """Those that are selected by, and those that are grouped by."""
    grouped = ",".join(re.findall(r"\b(?:by|on|ignoring|without) \(([^)]*)\)", expression))
    selected = ",".join(re.sub(r'"[^"]*"', "", found) for found in re.findall(r"\{([^}]*)\}", expression))
    return set(re.findall(r"[a-z_]\w*", f"{grouped},{selected}"))


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, set[str]]]:
    """Metric → its labels, of a module that has run a round."""
    module, place = MODULES["SentinelOne"], tmp_path_factory.mktemp("module")
    with module.simulated(5) as console, LocalPlatform() as platform:
        settings = module.settings_for(console)
        with ModuleProcess(module, platform, settings, {}, place / "data", log=place / "log") as process:
            process.wait_for_rounds()
            text = requests.get(process.metrics_url, timeout=5).text
    found: dict[str, set[str]] = {}
    for sample in (sample for family in text_string_to_metric_families(text) for sample in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels)
    yield found


def test_the_reading_of_an_expression_finds_its_metrics_and_labels() -> None:
    expression = 'sum by (to) (60 * rate(a_total{status=~"x|b_total"}[1h])) unless on (job) time() - c_seconds > 10'
    assert metrics_in(expression) == {"a_total", "c_seconds"}
    assert labels_in(expression) == {"to", "status", "job"}
    assert len(rules()) == RULES.read_text(encoding="utf-8").count("- alert: ") > 5
    assert len(panels()) > 5


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=list(EXPRESSIONS))
def test_each_metric_and_label_of_the_pack_is_one_that_a_module_has(
    expression: str, exposed: dict[str, set[str]]
) -> None:
    names, labels = metrics_in(expression), labels_in(expression)
    assert names
    assert names - exposed.keys() - OF_PROMETHEUS[0] == set()
    assert labels - OF_PROMETHEUS[1] <= set().union(*(exposed.get(name, set()) for name in names))


@needs_promtool
def test_the_rules_raise_what_their_tests_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def test_each_rule_is_tested_both_raised_and_quiet() -> None:
    """Quiet is the healthy connector; raised has labels that are expected."""
    healthy, *troubled = re.split(r"^  - name: ", TESTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    for name in rules():
        assert re.search(rf"alertname: {name} }}", healthy), f"{name} has no quiet case"
        raised = [case for case in troubled if re.search(rf"alertname: {name}\n +exp_alerts:\n +- exp_labels", case)]
        assert raised, f"{name} is never raised in a test"


@needs_promtool
def test_the_example_of_a_configuration_is_one_and_finds_the_rules() -> None:
    assert "1 rule files found" in promtool("check", "config", FOLDER / "prometheus.yml")


@needs_promtool
@pytest.mark.parametrize("expression", panels().values(), ids=list(panels()))
def test_prometheus_can_read_each_expression_of_the_dashboard(expression: str, tmp_path: Path) -> None:
    rule = {"record": "dashboard:panel", "expr": expression.replace("$instance", ".*")}
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": [rule]}]}))
    promtool("check", "rules", tmp_path / "rules.json")


def test_the_page_on_operating_names_each_alert() -> None:
    page = (ROOT / "docs/operating.md").read_text(encoding="utf-8")
    assert [name for name in rules() if f"`{name}`" not in page] == []
