"""The calls a server allows, as a budget: kept to one by one, and spread out before it is used up."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyrate_limiter import BucketFullException, Limiter, RequestRate

_FREE = 0.5  # of what a rate allows: a short walk is not slowed, a long one does not stop dead at the end of the budget
_KEY = "calls"


class Pace:
    """`rates` as the server documents them, shortest interval first. One call less than allowed is made: the server
    counts calls as they arrive, and two that leave an interval apart may arrive within it."""

    def __init__(self, rates: Sequence[RequestRate]) -> None:
        self._rates = [RequestRate(max(1, rate.limit - 1), rate.interval) for rate in rates]
        self._limiter = Limiter(*self._rates) if rates else None
        self._last = 0.0

    def claim(self) -> float:
        """0.0, and one call is counted; else the seconds to wait before asking again."""
        if self._limiter is None:
            return 0.0
        if wait := max(0.0, self._last + self._spread() - time.monotonic()):
            return wait
        try:
            self._limiter.try_acquire(_KEY)
        except BucketFullException as full:
            return float(full.meta_info["remaining_time"]) + 0.001
        self._last = time.monotonic()
        return 0.0

    def _spread(self) -> float:
        """Seconds between two calls: none at first, then what is left of a budget is spread over the time until there
        is more of it."""
        bucket = self._limiter.bucket_group.get(_KEY) if self._limiter else None
        if bucket is None:
            return 0.0
        pause = 0.0
        for rate in self._rates:
            used, more_in = bucket.inspect_expired_items(time.monotonic() - rate.interval)
            if used > rate.limit * _FREE:
                left = max(0, rate.limit - used)  # the limiter rounds times: it may have let one through too early
                pause = max(pause, more_in / (left + 1))
        return pause
