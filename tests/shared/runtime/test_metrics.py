"""What a process counts for Prometheus: totals over the rounds, named as its conventions and the documents have them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests_mock
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from shared.errors import ConnectorError
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous
from shared.runtime.metrics import Counts, Rounds

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"


class Connector:
    """Its counts are replaced at the begin of each round, as a connector's."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.cursor: float | None = None
        self.rounds = Rounds(lambda: self.counts, lambda: self.cursor)
        self.registry = CollectorRegistry()
        self.registry.register(self.rounds)

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"sekoia_connector_{name}", labels)


@pytest.fixture
def connector() -> Connector:
    return Connector()


def test_a_round_that_goes_on_counts_already(connector: Connector) -> None:
    connector.counts = Counts(read=5, sent=2)
    assert connector.value("read_total") == 5
    connector.counts = replace(connector.counts, read=7)
    assert connector.value("read_total") == 7


def test_totals_grow_over_rounds_and_never_fall(connector: Connector) -> None:
    seen = []
    for read in (10, 3, 0):
        connector.counts = Counts(read=read)
        seen.append(connector.value("read_total"))
        connector.rounds.ended(well=True, seconds=1.0)
        seen.append(connector.value("read_total"))
    assert seen == [10, 10, 13, 13, 13, 13]


def test_a_round_that_failed_before_it_began_counts_nothing_twice(connector: Connector) -> None:
    """Its counts are still those of the round before."""
    connector.counts = Counts(read=10)
    connector.rounds.ended(well=True, seconds=1.0)
    connector.rounds.ended(well=False, seconds=0.1)
    assert connector.value("read_total") == 10
    assert connector.value("rounds_total", outcome="failure") == 1


def test_what_is_not_known_is_absent(connector: Connector) -> None:
    text = generate_latest(connector.registry).decode()
    assert "cursor_age" not in text
    assert "last_success" not in text


@pytest.mark.parametrize("status", [200, 404, 503])
def test_calls_are_counted_by_status(status: int) -> None:
    labels = {"to": f"Vendor {status}", "status": str(status)}
    session = ApiSession(labels["to"], "https://vendor.example", Anonymous(), patience=Patience(first_wait=0.0))
    with requests_mock.Mocker() as mocker:
        mocker.get("https://vendor.example/a", status_code=status, json={})
        with suppress(ConnectorError):
            session.call("GET", "a")
        assert REGISTRY.get_sample_value("sekoia_connector_http_calls_total", labels) == mocker.call_count


def test_each_metric_is_documented(connector: Connector) -> None:
    connector.cursor = 1.0
    connector.rounds.ended(well=True, seconds=1.0)
    connector.rounds.fleet = lambda: {"listed": 1}
    exposed = set(re.findall(r"^# TYPE (sekoia_connector_\w+)", generate_latest(connector.registry).decode(), re.M))
    listed = PAGE.read_text(encoding="utf-8").partition("Metrics for Prometheus")[2].partition("An alert worth")[0]
    named = set(re.findall(r"`(?:sekoia_connector)?(_\w+?)(?:\{[^}]*\})?`", listed))
    assert {name.removeprefix("sekoia_connector") for name in exposed} | {"_http_calls_total"} == named
