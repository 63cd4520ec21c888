"""The calls that a server allows, as a budget that every caller of a session shares."""

from __future__ import annotations

from collections.abc import Sequence

from pyrate_limiter import BucketFullException, Limiter, RequestRate


class Pace:
    """`rates`: as the server documents them, shortest interval first.

    One call less than allowed is made: the server counts calls as they arrive, and two that are sent an interval apart
    may arrive within it. The limiter rounds to milliseconds: each interval is a few of them longer.
    """

    def __init__(self, rates: Sequence[RequestRate]) -> None:
        lower = [
            RequestRate(max(1, rate.limit - 1), rate.interval + 0.005)  # type: ignore[arg-type] # any number will do
            for rate in rates
        ]
        self._limiter = Limiter(*lower) if rates else None

    def claim(self) -> float:
        """0.0, and one call is counted; else the seconds to wait before asking again."""
        try:
            if self._limiter:
                self._limiter.try_acquire("calls")
        except BucketFullException as full:
            return float(full.meta_info["remaining_time"]) + 0.001
        return 0.0
