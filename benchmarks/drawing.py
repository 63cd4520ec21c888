"""How cost and memory grow with the fleet, as one SVG of two charts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from benchmarks.measure import FLOOR, Measurement
from benchmarks.scenarios import Results

WIDTH, HEIGHT, LEFT, TOP = 300, 220, 52, 46  # of one chart, and where the first begins
GAP = 80
_COLOURS = ("#0b6e99", "#c2571a", "#4f7a28", "#7b4fa3", "#a83250")


@dataclass(frozen=True)
class Line:
    """One contender's line: `points` in the chart's own coordinates."""

    name: str
    colour: str
    dashed: bool
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """`across` and `up` are ticks: (place, label)."""

    title: str
    left: float
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]
    lines: Sequence[Line]


def draw(results: Results, path: Path) -> None:
    """Write the chart."""
    left = _chart("µs of CPU a device", results.growth, lambda run: run.us_per_device, LEFT)
    right = _chart("peak memory, MB", results.growth, lambda run: run.peak_mb, LEFT + WIDTH + GAP)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    values = {"charts": [left, right], "width": LEFT + 2 * WIDTH + GAP + 20, "w": WIDTH, "h": HEIGHT, "top": TOP}
    path.write_text(environment.get_template("chart.svg.j2").render(values), encoding="utf-8")


def _chart(title: str, runs: Sequence[Measurement], value: Callable[[Measurement], float], left: float) -> Chart:
    sizes = sorted({run.devices for run in runs})
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    top = _round_up(max(value(run) for run in runs))

    def across(devices: int) -> float:
        return round((math.log10(devices) - low) / ((high - low) or 1) * WIDTH, 1)

    def up(height: float) -> float:
        return round(HEIGHT - height / top * HEIGHT, 1)

    lines = []
    for colour, module in zip(_COLOURS, dict.fromkeys(run.module for run in runs), strict=False):
        for contender in dict.fromkeys(run.contender for run in runs):
            mine = [run for run in runs if (run.module, run.contender) == (module, contender)]
            points = [(across(run.devices), up(value(run))) for run in mine]
            dashed = contender == FLOOR
            lines.append(Line(f"{module}{', floor' if dashed else ''}", colour, dashed, points))
    ticks = [(up(top * part / 4), f"{top * part / 4:g}") for part in range(5)]
    return Chart(title, left, [(across(size), f"{size:,}") for size in sizes], ticks, lines)


def _round_up(value: float) -> float:
    """The next 4, 8, 20, 40, 80, 200 …, which four ticks divide well."""
    return next(step * 10.0**power for power in range(-2, 9) for step in (4, 8, 20) if step * 10.0**power >= value)
