"""Files that the lab appends to: they may hold what a real console sent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def append_to(path: Path) -> BinaryIO:
    """The file, opened at its end, made for its owner only, as its folder is; OSError where it is a link."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600), "ab")
