"""`report.html`: the results of a run, in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lab.kinds import ALERTS, DEVICES
from lab.report.sections import SECTIONS, Run
from lab.report.summary import Outcome

_TEMPLATES = Environment(
    loader=PackageLoader("lab.report"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
_TEMPLATES.tests["long"] = lambda text: re.search(r"\S{21}", text) is not None
_FILES = files("lab.report") / "templates"


def write_report(outcomes: list[Outcome], path: Path) -> None:
    """Write all sections. A vendor's values are escaped, and the page runs no script but its own."""
    run = Run(outcomes, time.time())
    script = (_FILES / "report.js").read_text(encoding="utf-8")
    page = _TEMPLATES.get_template("report.html").render(
        made=f"{datetime.fromtimestamp(run.made, UTC):%Y-%m-%d %H:%M} UTC",
        facts=_facts(run),
        errors=[(outcome.name, outcome.error) for outcome in outcomes if outcome.error],
        sections=[section for make in SECTIONS if (section := make(run))],
        style=(_FILES / "report.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    path.write_text(page, encoding="utf-8")


def _facts(run: Run) -> list[tuple[str, int]]:
    """The figures at the top."""
    return [
        ("modules", len(run.outcomes)),
        ("failed", sum(bool(outcome.error) for outcome in run.outcomes)),
        ("devices", sum(1 for _ in run.events(DEVICES))),
        ("alerts", sum(1 for _ in run.events(ALERTS))),
        ("records skipped", sum(outcome.round["skipped"] for outcome in run.outcomes)),
    ]
