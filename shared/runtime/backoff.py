"""How long a connector waits after rounds that failed."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Waits between failed cycles, in seconds: `first`, doubling to `most`, give or take `jitter`."""

    first: float = 30.0
    most: float = 900.0
    jitter: float = 0.2

    def wait(self, failures: int) -> float:
        """After the n-th failure in a row, n from 1."""
        wait = min(self.most, self.first * 2.0 ** min(failures - 1, 30))
        return wait * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - spreads load, protects nothing
