"""Runs contenders in turns, so that other work on the machine disturbs them alike; the best run counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.measure import FLOOR, MODULE, STOCK, Bench, Measurement, Setting
from lab.kinds import DEVICES

Say = Callable[[str], object]


def contest(
    bench: Bench, contenders: Sequence[str], repeats: int, setting: Setting | None = None, say: Say = str
) -> dict[str, Measurement]:
    """Each contender's best of `repeats` interleaved runs."""
    runs: dict[str, list[Measurement]] = {contender: [] for contender in contenders}
    for round_ in range(repeats):
        for contender in contenders:
            say(f"{bench.module.name} · {bench.devices:,} devices · {contender} {round_ + 1}/{repeats}")
            runs[contender].append(bench.run(contender, setting))
    return {contender: best(measured) for contender, measured in runs.items()}


def best(runs: Sequence[Measurement]) -> Measurement:
    """The run that took the least CPU, with the least seconds and the least start of any, and the most memory."""
    return replace(
        min(runs, key=lambda run: run.walk_cpu),
        seconds=min(run.seconds for run in runs),
        start_cpu=min(run.start_cpu for run in runs),
        peak_mb=max(run.peak_mb for run in runs),
    )


def contenders_of(bench: Bench, *, stock: bool = True) -> list[str]:
    """Alerts have neither a floor nor the SDK's loop for assets to be compared with."""
    if bench.module.kind is not DEVICES:
        return [MODULE]
    return [FLOOR, MODULE, STOCK] if stock else [FLOOR, MODULE]


def ratio(found: dict[str, Measurement]) -> float | None:
    """CPU of the module's walk ÷ the floor's; None where there is no floor."""
    return found[MODULE].walk_cpu / found[FLOOR].walk_cpu if FLOOR in found else None
