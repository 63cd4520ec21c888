"""`report.html`: what a run collected, in one file that needs no network."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lab.summary import Outcome

_TEMPLATES = Environment(
    loader=PackageLoader("lab"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True
)
_MOST_ROWS = 2_000


def write_report(outcomes: list[Outcome], path: Path) -> None:
    """Counts by module, operating system, type and compliance, and the devices themselves (the first 2,000)."""
    devices = [(outcome.name, event["device"]) for outcome in outcomes for event in outcome.events]
    charts = {
        "By operating system": Counter(device.get("os", {}).get("type", "not told") for _, device in devices),
        "By type": Counter(device["type"] for _, device in devices),
        "Compliant": Counter(_COMPLIANT.get(device.get("is_compliant"), "not told") for _, device in devices),
    }
    page = _TEMPLATES.get_template("report.html").render(
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        outcomes=outcomes,
        charts={title: counts.most_common() for title, counts in charts.items() if counts},
        rows=[_row(name, device) for name, device in devices[:_MOST_ROWS]],
        left_out=max(0, len(devices) - _MOST_ROWS),
    )
    path.write_text(page, encoding="utf-8")


def _row(module: str, device: dict[str, Any]) -> tuple[str, ...]:
    system = device.get("os", {})
    seen = device.get("last_seen_time")
    return (
        module,
        device["hostname"],
        device["type"],
        system.get("name") or system.get("type", ""),
        device.get("ip", ""),
        _COMPLIANT.get(device.get("is_compliant"), ""),
        f"{datetime.fromtimestamp(seen, UTC):%Y-%m-%d %H:%M}" if seen else "",
    )


_COMPLIANT: dict[Any, str] = {True: "yes", False: "no"}
