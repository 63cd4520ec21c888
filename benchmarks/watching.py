"""The CPU time and memory of another process on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """User and system time of the process with all its threads, those that ended too: what `wait4` reports at
    the end, but at any time and in nanoseconds. OSError when it is gone. Linux only."""
    return time.clock_gettime((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process, see clock_getcpuclockid(3)


def memory(pid: int) -> tuple[float, float]:
    """The largest resident memory the process ever had, and what it has now, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    peak, now = (int(status.partition(f"{name}:")[2].split()[0]) / 1024 for name in ("VmHWM", "VmRSS"))
    return peak, now


@dataclass
class Mark:
    """A moment in a process's life: `at` by the monotonic clock, `cpu` seconds used until then, `peak` and `resident` in MB."""

    at: float
    cpu: float
    peak: float
    resident: float


def mark(pid: int) -> Mark:
    """Now; zeros where the process is gone."""
    try:
        return Mark(time.monotonic(), cpu_seconds(pid), *memory(pid))
    except (OSError, IndexError):
        return Mark(time.monotonic(), 0.0, 0.0, 0.0)
