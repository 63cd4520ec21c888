"""`python -m benchmarks`: measures everything, writes results.json and the charts, and the tables of docs/performance.md.

A quarter of an hour on a quiet machine of two cores. `--million` adds a round over 1,000,000 devices (some ten
minutes and 5 GB of disk each). `--modules` and `--sizes` (also without values) measure a part of it; with `--out` the
documents stay unchanged.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from benchmarks.drawing import draw
from benchmarks.scenarios import (
    LARGE,
    MIDDLE,
    SMALL,
    Results,
    measure_fingerprints,
    measure_huge,
    measure_module,
    measure_pace,
)
from benchmarks.tables import filled
from lab.modules import MODULES, device_modules

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
people = Console(stderr=True, highlight=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--modules", nargs="*", default=[module.name for module in device_modules()])
    parser.add_argument("--sizes", nargs="*", type=int, default=[SMALL, MIDDLE, LARGE])
    parser.add_argument("--million", action="store_true", help="1,000,000 devices too")
    parser.add_argument("--out", type=Path, help="a folder for results.json and chart.svg, in place of the documents")
    options = parser.parse_args(arguments)
    results = Results(machine())
    for _ in measure(options.modules, options.sizes, results, million=options.million):
        save(results, options.out or HERE)  # each time: an hour's figures must not hang on the last one
    draw(results, (options.out or PAGE.parent) / "performance.svg")
    if options.out is None:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    for verdict in results.verdicts:
        word = "holds" if verdict.holds else "[red]missed[/red]"
        people.print(
            f"{verdict.letter} {verdict.module}: {verdict.what} {verdict.value:,.2f} ({verdict.target:g}) {word}"
        )


def measure(modules: Sequence[str], sizes: list[int], results: Results, *, million: bool) -> Iterator[None]:
    """Every scenario for these modules, one after the other."""
    with tempfile.TemporaryDirectory() as folder, people.status("…") as status:
        scratch, say = Path(folder), status.update if people.is_terminal else people.print
        measure_fingerprints(results, scratch)
        for module in modules:
            if sizes:
                measure_module(module, sizes, results, scratch, say)
            if million:
                measure_huge(module, results, scratch, say)
            yield
        for module in modules:
            if sizes and MODULES[module].limits:
                measure_pace(module, results, scratch, say)
                yield
    results.machine["load_after"] = os.getloadavg()[0]
    yield


def save(results: Results, folder: Path) -> None:
    """Write results.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_bytes(orjson.dumps(results.to_json(), option=orjson.OPT_INDENT_2) + b"\n")


def machine() -> dict[str, Any]:
    """The machine on which the figures were measured, and its load before."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return {
        "taken": datetime.now(UTC).isoformat(timespec="minutes"),
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {
            name: version(name) for name in ("sekoia-automation-sdk", "pydantic", "orjson", "msgspec", "requests")
        },
        "load_before": os.getloadavg()[0],
    }


if __name__ == "__main__":
    main()
