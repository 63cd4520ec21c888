"""`sekoia-lab bench`: CPU, memory and time of modules next to the floor and the SDK's own loop."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.contests import contenders_of, contest, ratio
from benchmarks.measure import FLOOR, MODULE, STOCK, Measurement, Setting, bench
from lab.modules import MODULES, LabModule

_SMALL_FLEET = 1.4  # times as much may a device cost: few devices share what a round does once
_NAMES = {STOCK: "the SDK's loop", FLOOR: "the floor"}
_COLUMNS = (
    "µs CPU\na dev.", "×\nfloor", "devices\n/ s", "wall\ns", "start\nCPU s", "peak\nMB", "calls", "MB\nsent", "others\nCPU s"
)  # fmt: skip


def run(
    modules: Sequence[LabModule], devices: int, latency_ms: float, repeats: int, people: Console, *, stock: bool
) -> dict[str, dict[str, Measurement]]:
    """Best of `repeats` runs of each contender, by module."""
    setting = Setting(vendor_latency=latency_ms / 1000, platform_latency=latency_ms / 1000)
    found = {}
    with tempfile.TemporaryDirectory() as scratch, people.status("Preparing pages …") as status:
        for module in modules:
            status.update(f"{module.name} · preparing pages of {devices:,} devices")
            with bench(module.name, devices, Path(scratch)) as one:
                found[module.name] = contest(one, contenders_of(one, stock=stock), repeats, setting, status.update)
    return found


def show(found: dict[str, dict[str, Measurement]], people: Console) -> None:
    """One row a contender."""
    table = Table(title="What it took", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=0)
    table.add_column("", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for name, runs in found.items():
        for contender in (MODULE, STOCK, FLOOR):
            if contender in runs:
                table.add_row(name if contender == MODULE else f"  {_NAMES[contender]}", *_row(runs[contender], runs))
    people.print(table)


def _row(run_: Measurement, runs: dict[str, Measurement]) -> tuple[str, ...]:
    floor = runs.get(FLOOR)
    return (
        f"{run_.us_per_device:.1f}",
        f"{run_.walk_cpu / floor.walk_cpu:.2f}" if floor else "–",
        f"{run_.devices_per_second:,.0f}",
        f"{run_.seconds:.2f}",
        f"{run_.start_cpu:.2f}",
        f"{run_.peak_mb:.0f}",
        f"{run_.vendor_calls + run_.platform_calls:,}",
        f"{run_.bytes_sent / 1e6:.1f}",
        f"{run_.vendor_cpu + run_.platform_cpu:.2f}",
    )


def too_slow(found: dict[str, dict[str, Measurement]]) -> list[str]:
    """A sentence for each module whose devices cost more CPU than `--check` allows."""
    return [
        f"{name}: a device costs {times:.2f} times the floor's CPU, more than {most:.2f}."
        for name, runs in found.items()
        if (times := ratio(runs)) is not None and times > (most := MODULES[name].times_the_floor * _SMALL_FLEET)
    ]


def write_json(found: dict[str, dict[str, Measurement]]) -> None:
    """All measurements on stdout, with the two figures that are computed from them."""
    measurements = [
        {**asdict(run_), "us_per_device": run_.us_per_device, "devices_per_second": run_.devices_per_second}
        for runs in found.values()
        for run_ in runs.values()
    ]
    ratios = {name: times for name, runs in found.items() if (times := ratio(runs)) is not None}
    sys.stdout.buffer.write(
        orjson.dumps({"measurements": measurements, "times_the_floor": ratios}, option=orjson.OPT_INDENT_2) + b"\n"
    )
    sys.stdout.flush()
