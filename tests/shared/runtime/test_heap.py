"""What a round has freed goes back to the system, whichever thread allocated it."""

import subprocess
import sys

_PROGRAM = """
import sys
from pathlib import Path
from threading import Barrier, Thread
from shared.runtime import heap

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

if sys.argv[1] == "one":
    heap.prepare()
large = bytearray(16_000_000)
del large  # from here on glibc keeps 32 MB at the end of each heap
filled, freed = Barrier(4), Barrier(4)

def work():
    values = [bytes(2_000) for _ in range(10_000)]
    filled.wait()
    values.clear()
    freed.wait()

before = resident()
threads = [Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
filled.wait()
freed.wait()
heap.return_freed()
print(resident() - before)
"""


def _kept(heaps: str) -> int:
    """Bytes that a process keeps of 60 MB which three threads allocated and freed."""
    return int(subprocess.run([sys.executable, "-c", _PROGRAM, heaps], capture_output=True, check=True).stdout)


def test_what_threads_have_freed_is_returned_to_the_system() -> None:
    assert _kept("one") < 10_000_000 < _kept("one a thread")
