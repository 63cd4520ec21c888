"""The heap of the process, as the C library keeps it. Nothing happens where that is not glibc."""

from __future__ import annotations

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # glibc's malloc.h
_OTHER_LIBRARY = (AttributeError, OSError)


def keep_one() -> None:
    """For all threads that begin from now on: the heap that glibc makes for each of them does not shrink again."""
    with suppress(*_OTHER_LIBRARY):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def return_freed() -> None:
    """To the system, in a millisecond: by itself, the C library keeps most of what a round has freed."""
    with suppress(*_OTHER_LIBRARY):
        ctypes.CDLL(None).malloc_trim(0)
