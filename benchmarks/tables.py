"""The tables of docs/performance.md, between its markers `<!-- table: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from benchmarks.measure import FLOOR, MODULE, STOCK, Measurement
from benchmarks.scenarios import Results

_SLOT = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_DISTURBED = 1.3
_NAMES = {MODULE: "module", FLOOR: "floor", STOCK: "the SDK's loop"}


def filled(text: str, results: Results) -> str:
    """The page with its tables replaced; KeyError for a marker that names none."""
    return _SLOT.sub(lambda found: f"{found[1]}{TABLES[found[2]](results)}{found[3]}", text)


def _machine(results: Results) -> str:
    machine = results.machine
    busy = (
        ": **busy with other work, so that only figures of CPU and memory mean something**"
        if machine["load_before"] > 1
        else ""
    )
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores · Python {machine['python']} · {versions} · "
        f"{machine['taken']} · "
        f"load {machine['load_before']:.1f} before, {machine.get('load_after', 0):.1f} after{busy}\n"
        + (f"\n**{machine['note']}**\n" if "note" in machine else "")
    )


def _verdicts(results: Results) -> str:
    rows = (
        (
            one.letter,
            one.module,
            one.what,
            _number(one.value),
            f"≤ {one.target:g}",
            "yes" if one.holds else "**no**",
        )
        for one in sorted(results.verdicts, key=lambda one: one.letter)
    )
    return _table(("", "module", "what", "measured", "target", "holds"), rows)


def _growth(results: Results) -> str:
    floors = {(run.module, run.devices): run for run in results.growth if run.contender == FLOOR}
    return _table(
        (
            "module",
            "devices",
            "",
            "µs CPU a device",
            "× floor",
            "seconds",
            "start, CPU s",
            "peak MB",
            "calls",
            "MB sent",
            "servers, CPU s",
        ),
        (
            (*_run(run)[:4], f"{run.walk_cpu / floors[run.module, run.devices].walk_cpu:.2f}", *_run(run)[4:])
            for run in results.growth
        ),
    )


def _far(results: Results) -> str:
    rows = (
        (
            *_run(run)[:3],
            f"{run.vendor_latency_ms:g}",
            f"{run.platform_latency_ms:g}",
            f"{run.ingestion_ms:g}",
            _seconds(run),
            f"{run.devices_per_second:,.0f}",
            f"{run.vendor_calls:,}",
        )
        for run in results.far
    )
    return _table(
        (
            "module",
            "devices",
            "",
            "console ms",
            "platform ms",
            "ingestion ms",
            "seconds",
            "devices a second",
            "vendor calls",
        ),
        rows,
    )


def _again(results: Results) -> str:
    rows = (
        (
            module,
            name.replace("_", " "),
            f"{run.vendor_calls:,}",
            f"{run.sent:,}",
            f"{run.bytes_sent:,}",
            f"{run.walk_cpu:.2f}",
            _seconds(run),
        )
        for module, runs in results.again.items()
        for name, run in runs.items()
    )
    return _table(("module", "round", "vendor calls", "devices sent", "bytes sent", "CPU s", "seconds"), rows)


def _paced(results: Results) -> str:
    rows = (
        (
            module,
            f"{figures['calls']:g}",
            f"{figures['throttled']:g}",
            f"{figures['seconds']:.1f}",
            f"{figures['least_seconds']:.1f}",
            f"{figures['longest_gap']:.2f}",
            f"{figures['even_gap']:.2f}",
        )
        for module, figures in results.paced.items()
    )
    return _table(
        ("module", "calls", "answered 429", "seconds", "least by the limits", "longest gap, s", "gap if even, s"), rows
    )


def _stages(results: Results) -> str:
    names = list(next(iter(results.stages.values()), {}))
    last = {run.module: run for run in results.growth if run.contender == MODULE}
    rows = (
        (
            module,
            *(f"{spent[name]:.1f}" for name in names),
            f"{last[module].us_per_device - sum(spent.values()):.1f}",
            f"{last[module].us_per_device:.1f}",
        )
        for module, spent in results.stages.items()
    )
    return _table(("module", *names, "rest", "whole"), rows)


def _fingerprints(results: Results) -> str:
    return _table(
        ("", "bytes"), ((name.replace("_", " "), f"{value:,.0f}") for name, value in results.fingerprints.items())
    )


TABLES: dict[str, Callable[[Results], str]] = {
    "machine": _machine,
    "verdicts": _verdicts,
    "growth": _growth,
    "far": _far,
    "again": _again,
    "paced": _paced,
    "stages": _stages,
    "fingerprints": _fingerprints,
}


def _run(run: Measurement) -> tuple[str, ...]:
    return (
        run.module,
        f"{run.devices:,}",
        _NAMES[run.contender],
        f"{run.us_per_device:.1f}",
        _seconds(run),
        f"{run.start_cpu:.2f}",
        f"{run.peak_mb:.0f}",
        f"{run.vendor_calls + run.platform_calls:,}",
        f"{run.bytes_sent / 1e6:.1f}",
        f"{run.vendor_cpu + run.platform_cpu:.2f}",
    )


def _seconds(run: Measurement) -> str:
    return f"{run.seconds:.2f}{' (disturbed)' if disturbed(run) else ''}"


def disturbed(run: Measurement) -> bool:
    """Whether the machine had other work: without latency some process always computes, so the seconds are CPU time."""
    busy = run.walk_cpu + run.vendor_cpu + run.platform_cpu
    return not run.vendor_latency_ms and not run.platform_latency_ms and run.seconds > _DISTURBED * busy


def _number(value: float) -> str:
    return f"{value:,.2f}" if value % 1 else f"{value:,.0f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"
