"""Runs one contender once, in a process of its own between a prepared console and a receiver, and reports what it used.

A contender is a module as the platform runs it, the SDK's own loop over the same client and mapper, or the floor.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

import orjson

from benchmarks.receiver import Receiver
from benchmarks.serving import Tally
from benchmarks.vendors import PreparedVendor
from benchmarks.watching import Mark, mark
from lab.modules import MODULES, LabModule
from lab.platform.local import LocalPlatform
from lab.process import PLACEHOLDER, ModuleProcess

MODULE, STOCK, FLOOR = "module", "stock", "floor"
_LIFTED = {"PYTHONPATH": str(Path(__file__).parent / "lifted")}
_LONGEST_S = 3_600.0
_QUIET_S = 0.25


@dataclass(frozen=True)
class Setting:
    """How a run is set up. Latencies and the time of an ingestion are seconds. `limits` are enforced by the console and
    kept by the module; without them all rate limits are lifted."""

    batch: int = 1_000
    vendor_latency: float = 0.0
    platform_latency: float = 0.0
    ingestion: float = 0.0
    limits: tuple[tuple[int, float], ...] = ()


@dataclass
class Measurement:
    """One run. `cpu` is user and system time of the process alone, seconds: `start_cpu` until its first call to the
    vendor, `walk_cpu` from there to the end of the walk. `seconds` is the walk as the servers saw it, first call to
    last answer. `peak_mb`: the largest memory; `resting_mb`: once the round is over. `state_mb`: its files, copies included."""

    module: str
    contender: str
    devices: int
    vendor_latency_ms: float
    platform_latency_ms: float
    seconds: float
    start_cpu: float
    walk_cpu: float
    peak_mb: float
    vendor_calls: int
    platform_calls: int
    sent: int
    bytes_sent: int
    bytes_read: int
    vendor_cpu: float
    platform_cpu: float
    unprepared: int
    throttled: int
    ingestion_ms: float = 0.0
    resting_mb: float = 0.0
    state_mb: float = 0.0

    @property
    def us_per_device(self) -> float:
        return self.walk_cpu / self.devices * 1e6

    @property
    def devices_per_second(self) -> float:
        return self.devices / self.seconds if self.seconds else 0.0


class _Processes(BaseManager):
    """One object in a process of its own, called over a pipe. `register` makes the methods."""

    PreparedVendor: Callable[[str, int], Any]
    Receiver: Callable[[], Any]


_Processes.register("PreparedVendor", PreparedVendor)
_Processes.register("Receiver", Receiver)


class _StockProcess(ModuleProcess):
    @property
    def program(self) -> list[str]:
        return ["-m", "benchmarks.stock", self.module.name]


class Bench:
    """A prepared console of `devices` and a receiver, each in its own process; contenders are run between them."""

    def __init__(self, module: LabModule, devices: int, vendor: Any, receiver: Any, scratch: Path) -> None:
        self.module, self.devices = module, devices
        self.vendor, self.receiver = vendor, receiver
        self.settings: dict[str, Any] = vendor.settings()
        self.data = scratch / "data"
        self._scratch = scratch

    def run(self, contender: str, setting: Setting | None = None, *, keep_state: bool = False) -> Measurement:
        """One walk of the contender; `keep_state` lets the module go on from where its last run ended."""
        setting = setting or Setting()
        if not keep_state:
            for path in self.data.glob("*"):
                path.unlink()
        if contender == FLOOR:
            end = self._run_floor(setting)
        else:
            end = self._run_module(_StockProcess if contender == STOCK else ModuleProcess, setting)
        return self._measured(contender, setting, end)

    def tallies(self) -> tuple[Tally, Tally]:
        """The counts of the console and of the receiver in the last run."""
        return self.vendor.tally(), self.receiver.tally()

    def _watch(self, pid: int, setting: Setting) -> None:
        self.vendor.watch(pid, setting.vendor_latency, list(setting.limits))
        self.receiver.watch(pid, setting.platform_latency)
        self.receiver.ingest_in(setting.ingestion)

    def _run_floor(self, setting: Setting) -> Mark | None:
        platform = f"{self.receiver.url()}/api/v2/asset-management/asset-connector/floor"
        options = {"module": self.module.name, "settings": self.settings, "platform": platform, "key": "any"}
        command = [sys.executable, "-m", "benchmarks.floor", orjson.dumps({**options, "batch": setting.batch}).decode()]
        with subprocess.Popen(command) as process:
            self._watch(process.pid, setting)
            if process.wait(_LONGEST_S):
                raise RuntimeError(f"The floor of {self.module.name} failed.")
        return None

    def _run_module(self, kind: type[ModuleProcess], setting: Setting) -> Mark | None:
        log = self._scratch / "module.log"
        log.unlink(missing_ok=True)
        with LocalPlatform() as platform:
            process = kind(
                self.module,
                platform,
                self.settings,
                {},
                self.data,
                log=log,
                environment={**self._arguments(platform, setting), **({} if setting.limits else _LIFTED)},
            )
            process.start()
            try:
                self._watch(process.pid, setting)
                return self._end_of(process, setting)
            finally:
                process.kill()

    def _arguments(self, platform: LocalPlatform, setting: Setting) -> dict[str, str]:
        """Batches go to the receiver; secrets, logs and the rest to the strict stand-in."""
        reach = self.module.kind.reach(platform, PLACEHOLDER)
        arguments = json.dumps({**reach, **self._batching(setting)}).replace(platform.url, self.receiver.url())
        return {"CONNECTOR_CONFIGURATION": arguments}

    def _batching(self, setting: Setting) -> dict[str, int]:
        return (
            {"chunk_size": 1_000}
            if "intake_key" in self.module.connector_manifest["arguments"]["properties"]
            else {"batch_size": setting.batch}
        )

    def _end_of(self, process: ModuleProcess, setting: Setting) -> Mark | None:
        """The process's mark after its round. Its health is read only when it makes no calls, because that costs CPU.

        None if the process ended by itself: then the servers' last mark is the end.
        """
        until = time.monotonic() + _LONGEST_S
        quiet = _QUIET_S + setting.vendor_latency + setting.platform_latency + 2 * setting.ingestion
        while time.monotonic() < until:
            time.sleep(0.1)
            if process.exit_code is not None:
                if process.exit_code:
                    raise RuntimeError(
                        f"{self.module.name} ended with code {process.exit_code}:\n{process.log.read_text()}"
                    )
                return None
            if self.vendor.idle() < quiet or 0 < self.receiver.idle() < quiet:
                continue
            now = mark(process.pid)
            if isinstance(process, _StockProcess):
                continue
            health = process.health()
            if health and health["cycles"]:
                if health["last_error"]:
                    raise RuntimeError(f"{self.module.name}: {health['last_error']}")
                return now
        raise TimeoutError(f"{self.module.name} did not end its round.")

    def _measured(self, contender: str, setting: Setting, end: Mark | None) -> Measurement:
        vendor, receiver = self.tallies()
        first, marks = vendor.first, [seen for seen in (vendor.last, receiver.last) if seen]
        if first is None or not marks:
            raise RuntimeError(f"{contender} of {self.module.name} made no call.")
        last = max(marks, key=lambda seen: seen.at)
        end = end or last
        return Measurement(
            module=self.module.name,
            contender=contender,
            devices=self.devices,
            vendor_latency_ms=setting.vendor_latency * 1000,
            platform_latency_ms=setting.platform_latency * 1000,
            seconds=last.at - first.at,
            start_cpu=first.cpu,
            walk_cpu=end.cpu - first.cpu,
            peak_mb=max(end.peak, last.peak),
            vendor_calls=vendor.calls,
            platform_calls=receiver.calls,
            sent=receiver.events,
            bytes_sent=receiver.bytes_in,
            bytes_read=vendor.bytes_out,
            vendor_cpu=vendor.cpu,
            platform_cpu=receiver.cpu,
            unprepared=vendor.unprepared,
            throttled=vendor.throttled,
            ingestion_ms=setting.ingestion * 1000,
            resting_mb=end.resident,
            state_mb=sum(path.stat().st_size for path in self.data.glob("*")) / 1e6,
        )


@contextmanager
def bench(module: str, devices: int, scratch: Path) -> Iterator[Bench]:
    """A bench, its two processes ended at the end."""
    spawn = get_context("spawn")
    with _Processes(ctx=spawn) as console, _Processes(ctx=spawn) as platform:
        place = scratch / f"{module}-{devices}"
        place.mkdir(parents=True, exist_ok=True)
        vendor, receiver = console.PreparedVendor(module, devices), platform.Receiver()
        yield Bench(MODULES[module], devices, vendor, receiver, place)
