"""Invented runs for tests of the report, as large and as hostile as a test needs."""

from __future__ import annotations

import time
from typing import Any

from lab.kinds import ALERTS, DEVICES, Kind
from lab.report.skips import Skip
from lab.report.summary import Outcome

VENDORS = ("Alpha", "Beta", "Gamma", "Delta")
NOW = time.time()


def outcome(name: str, events: list[dict[str, Any]], kind: Kind = DEVICES, **more: Any) -> Outcome:
    counts = dict.fromkeys(("unchanged", "skipped"), 0) | {"batches": 1, "seconds": 1.5}
    return Outcome(name, {**counts, "read": len(events), "sent": len(events)}, events, kind=kind, **more)


def device(
    hostname: str, *, type: str = "Desktop", system: str = "windows", age: float = 60, **more: Any
) -> dict[str, Any]:
    os = {"name": f"{system} 11", "type": system}
    return {
        "device": {"uid": hostname, "hostname": hostname, "type": type, "os": os, "last_seen_time": NOW - age, **more}
    }


def alert(severity: str, age: float = 60, **more: Any) -> dict[str, Any]:
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - age))
    return {
        "severity": severity,
        "attack_vector": "Device",
        "event_timestamp": when,
        "name": "phone",
        "details": "",
        **more,
    }


def plain_run(count: int) -> list[Outcome]:
    """This many devices of each module, with the same names in all modules, and this many alerts."""
    devices = [
        outcome(
            name, [device(f"PAR-LT-{number:06}", ip=f"10.0.{place}.1", age=number * 100) for number in range(count)]
        )
        for place, name in enumerate(VENDORS)
    ]
    alerts = [alert(("Critical", "Warning")[number % 2], age=60 * (number % 600)) for number in range(count)]
    return [*devices, outcome("Alerts", alerts, ALERTS)]


def hostile_run(texts: list[str]) -> list[Outcome]:
    """A run with each of these texts in every place of a vendor's text."""
    devices = [device(text, type=text, system=text, ip=text) for text in texts]
    alerts = [alert(text, attack_vector=text, name=text, details=text) for text in texts]
    skips = [Skip(text, text) for text in texts]
    return [
        outcome("Alpha", devices, error=" ".join(texts), skips=skips),
        outcome("Beta", devices),
        outcome("Alerts", alerts, ALERTS),
    ]
