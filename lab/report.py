"""`report.html`: what a run collected, in one file that needs no network."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lab.kinds import KINDS, Kind
from lab.summary import Outcome

_TEMPLATES = Environment(
    loader=PackageLoader("lab"), autoescape=select_autoescape(["html"]), undefined=StrictUndefined, trim_blocks=True
)
_MOST_ROWS = 2_000


def write_report(outcomes: list[Outcome], path: Path) -> None:
    """Counts by module and kind of event, and the events themselves (of each kind the first 2,000)."""
    parts = [(kind, [outcome for outcome in outcomes if outcome.kind is kind]) for kind in KINDS]
    charts = {
        title: Counter(told(event) for outcome in of_kind for event in outcome.events)
        for kind, of_kind in parts
        for title, told in kind.charts.items()
    }
    page = _TEMPLATES.get_template("report.html").render(
        made=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        outcomes=outcomes,
        charts={title: counts.most_common() for title, counts in charts.items() if counts},
        tables=[_Table(kind, of_kind) for kind, of_kind in parts if of_kind],
    )
    path.write_text(page, encoding="utf-8")


class _Table:
    """The events of one kind, as the page lists them."""

    def __init__(self, kind: Kind, outcomes: list[Outcome]) -> None:
        rows = [(outcome.name, *kind.row(event)) for outcome in outcomes for event in outcome.events]
        self.title = f"{kind.noun.capitalize()}s"
        self.columns = ("module", *kind.columns)
        self.rows = rows[:_MOST_ROWS]
        self.left_out = max(0, len(rows) - _MOST_ROWS)
