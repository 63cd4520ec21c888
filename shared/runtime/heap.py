"""The memory of the process: how Python's collector goes through it, and the heap of the C library, where that is glibc."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_ARENA_MAX = -8  # glibc's malloc.h
_OTHER_LIBRARY = (AttributeError, OSError)


def prepare() -> None:
    """For all threads that begin from now on: one heap, for those that glibc makes for each do not shrink again.

    What is imported lives as long as the process, and a page makes 10⁵ objects that live until the next: by default the
    collector looks through both again and again.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    with suppress(*_OTHER_LIBRARY):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def return_freed() -> None:
    """To the system, in a millisecond: by itself, the C library keeps most of what a round has freed."""
    with suppress(*_OTHER_LIBRARY):
        ctypes.CDLL(None).malloc_trim(0)
