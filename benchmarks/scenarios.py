"""The measurements for docs/performance.md: each scenario yields figures, and verdicts if there is a target."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from benchmarks.contests import Say, contest, ratio
from benchmarks.measure import FLOOR, MODULE, STOCK, Bench, Measurement, Setting, bench
from benchmarks.stages import stages
from benchmarks.watching import memory
from lab.modules import MODULES
from shared.state.fingerprints import Fingerprints, key_of

SMALL, MIDDLE, LARGE, HUGE = 1_000, 10_000, 100_000, 1_000_000
FAR = Setting(vendor_latency=0.1, platform_latency=0.1)


@dataclass(frozen=True)
class Verdict:
    """`value` must be at most `target`. `letter` is the scenario's."""

    letter: str
    module: str
    what: str
    value: float
    target: float

    @property
    def holds(self) -> bool:
        return self.value <= self.target


@dataclass
class Results:
    """All that one run of the benchmarks found."""

    machine: dict[str, Any]
    growth: list[Measurement] = field(default_factory=list)
    far: list[Measurement] = field(default_factory=list)
    again: dict[str, dict[str, Measurement]] = field(default_factory=dict)
    paced: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)
    fingerprints: dict[str, float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The results as JSON, each verdict with whether it holds."""
        return {**asdict(self), "verdicts": [{**asdict(one), "holds": one.holds} for one in self.verdicts]}

    @classmethod
    def read(cls, written: dict[str, Any]) -> Self:
        """The inverse of `to_json`."""
        rounds = {
            module: {name: Measurement(**run) for name, run in runs.items()}
            for module, runs in written["again"].items()
        }
        verdicts = [
            Verdict(**{name: value for name, value in one.items() if name != "holds"}) for one in written["verdicts"]
        ]
        runs = {name: [Measurement(**run) for run in written[name]] for name in ("growth", "far")}
        return cls(**{**written, **runs, "again": rounds, "verdicts": verdicts})


def measure_module(module: str, sizes: list[int], results: Results, scratch: Path, say: Say) -> None:
    """Growth over the sizes; the stages of a round, latencies and the SDK's loop at the last but one; latency and later
    rounds at the last."""
    found: dict[int, dict[str, Measurement]] = {}
    *_, middle, largest = sizes
    for devices in sizes:
        with bench(module, devices, scratch) as one:
            found[devices] = contest(one, (FLOOR, MODULE), 3, say=say)
            results.growth += found[devices].values()
            if devices == middle:
                timed = [asdict(stages(one.module, one.settings)) for _ in range(3)]
                results.stages[module] = {name: min(run[name] for run in timed) for name in timed[0]}
                _measure_loops(one, results, say)
            if devices == largest:
                _measure_far(one, results, say)
                _measure_again(one, results, say)
                if longer := MODULES[module].longer_pages:
                    one.vendor.lengthen(longer)
                    _measure_far(one, results, say, f"{module}, pages of {longer}")
    _judge(module, found, results)


def _judge(module: str, found: dict[int, dict[str, Measurement]], results: Results) -> None:
    smallest, largest = found[min(found)][MODULE], found[max(found)][MODULE]
    add = results.verdicts.append
    times, most_times = ratio(found[max(found)]) or 0.0, MODULES[module].times_the_floor
    add(Verdict("a", module, "CPU a device ÷ the floor's", times, most_times))
    add(Verdict("c", module, f"MB more at {largest.devices:,}", largest.peak_mb - smallest.peak_mb, 60.0))
    grown = largest.us_per_device / smallest.us_per_device
    add(Verdict("d", module, f"CPU a device at {largest.devices:,} ÷ at {smallest.devices:,}", grown, 1.15))
    add(Verdict("e", module, "CPU seconds to the first request", smallest.start_cpu, 1.5))
    bare = bare_sdk()
    for run, most in ((smallest, 20.0), (largest, 30.0)):
        what = f"MB above the bare SDK after a round over {run.devices:,}"
        add(Verdict("c", module, what, run.resting_mb - bare, most))


def bare_sdk() -> float:
    """MB of a process that has imported the SDK's asset connector, and does nothing."""
    code = "import sekoia_automation.asset_connector; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        resident = memory(process.pid)[1]
        process.kill()
    return resident


def measure_huge(module: str, results: Results, scratch: Path, say: Say) -> None:
    """One round over a million devices next to the floor's: memory and state."""
    with bench(module, HUGE, scratch) as one:
        found = contest(one, (FLOOR, MODULE), 1, say=say)
    results.growth += found.values()
    add, run = results.verdicts.append, found[MODULE]
    add(Verdict("c", module, f"MB at most, {run.devices:,} devices", run.peak_mb, 350.0))
    add(Verdict("c", module, f"MB of state with its copy, {run.devices:,} devices", run.state_mb, 40.0))


def _measure_loops(one: Bench, results: Results, say: Say) -> None:
    """With 100 ms before each answer of the console, of the platform, and of both. There next to the SDK's own loop, with
    ingestions that take no time and with ingestions of a second, which most take by the SDK's source."""
    results.far += contest(one, (MODULE,), 1, Setting(vendor_latency=0.1), say).values()
    results.far += contest(one, (MODULE,), 1, Setting(platform_latency=0.1), say).values()
    for seconds in (0.0, 1.0):
        results.far += contest(one, (MODULE, STOCK), 1, replace(FAR, ingestion=seconds), say).values()


def _measure_far(one: Bench, results: Results, say: Say, name: str = "") -> None:
    """With 100 ms before each answer and the rate limits lifted: compared with the time of the vendor calls alone."""
    far = contest(one, (MODULE,), 1, FAR, say)[MODULE]
    far = replace(far, module=name or far.module)
    results.far.append(far)
    waited = far.seconds / (far.vendor_calls * FAR.vendor_latency)
    results.verdicts.append(Verdict("b", far.module, "seconds ÷ (vendor calls × 100 ms)", waited, 1.3))


def _measure_again(one: Bench, results: Results, say: Say) -> None:
    """Later rounds, each in a new process with the state of the round before: nothing changed, then 1 %."""
    module = one.module.name
    say(f"{module} · {one.devices:,} devices · first round, unchanged fleet, 1 % changed")
    first = one.run(MODULE)
    unchanged = one.run(MODULE, keep_state=True)
    changed = one.vendor.change(0.01)
    one_percent = one.run(MODULE, keep_state=True)
    results.again[module] = {"first": first, "unchanged": unchanged, "one_percent": one_percent}
    add = results.verdicts.append
    add(Verdict("g", module, "bytes sent when nothing changed", unchanged.bytes_sent, 0))
    add(Verdict("g", module, "calls ÷ the first round's, unchanged", unchanged.vendor_calls / first.vendor_calls, 1.0))
    add(
        Verdict(
            "g", module, "sent and not changed, or changed and not sent, of 1 %", abs(one_percent.sent - changed), 0
        )
    )


def measure_pace(module: str, results: Results, scratch: Path, say: Say) -> None:
    """A full walk against a console that enforces the vendor's limits: calls above them, and how evenly calls are
    spread."""
    with bench(module, MODULES[module].paced, scratch) as one:
        say(f"{module} · {one.devices:,} devices · at the vendor's limits")
        run = one.run(MODULE, Setting(limits=MODULES[module].limits))
        arrivals = one.tallies()[0].arrivals
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    figures = {"calls": run.vendor_calls, "throttled": run.throttled, "seconds": run.seconds, "longest_gap": max(gaps)}
    least, even_gap = max(
        ((run.vendor_calls - 1) // calls * seconds, seconds / calls) for calls, seconds in MODULES[module].limits
    )
    results.paced[module] = {**figures, "least_seconds": least, "even_gap": even_gap}
    results.verdicts.append(Verdict("h", module, "calls answered 429 at the limit", run.throttled, 0))


def measure_fingerprints(results: Results, scratch: Path) -> None:
    """Memory and file of the fingerprints alone, 100,000 devices delivered in batches of 1,000."""
    path = scratch / "fingerprints.bin"
    tracemalloc.start()
    known = Fingerprints(path)
    for at in range(0, LARGE, SMALL):  # nothing but the fingerprints holds on to a key
        keys = (key_of(f"device-{number}") for number in range(at, at + SMALL))
        known.deliver(((key, key << 4 | 5) for key in keys), 1_764_170_000, 1_764_170_000)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    known.save()
    results.fingerprints = {
        "memory_bytes_per_device": memory / LARGE,
        "file_bytes_per_device": path.stat().st_size / LARGE,
    }
    held = results.fingerprints["memory_bytes_per_device"]
    results.verdicts.append(Verdict("g", "all", "fingerprints: bytes of memory a device", held, 160))
