"""A server's record of the calls it answered: the latest ones complete, all of them as counts."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from flask import Request

BODY_KEPT = 1_024
"""Bytes of a request's body that are kept."""


@dataclass(frozen=True)
class Call:
    """One call, as it arrived and as it was answered."""

    method: str
    path: str
    route: str  # the name of the route, "" when no route is for this path
    query: dict[str, str]  # decoded once; of a repeated parameter the last value
    status: int  # 0 when the connection was cut instead of an answer
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)  # its first BODY_KEPT bytes
    at: float = field(repr=False)  # time.monotonic()


class CallLog:
    """Bounded: a run of a million devices must not fill the memory of the lab."""

    def __init__(self, kept: int = 10_000) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=kept)
        self._counts: Counter[tuple[str, str, int]] = Counter()

    def record(self, request: Request, status: int) -> None:
        call = Call(
            method=request.method,
            path=request.path,
            route=request.endpoint or "",
            query={name: values[-1] for name, values in request.args.lists()},
            status=status,
            headers=dict(request.headers.items()),
            body=request.get_data()[:BODY_KEPT],
            at=time.monotonic(),
        )
        template = request.url_rule.rule if request.url_rule else "(no route)"
        with self._lock:
            self._calls.append(call)
            self._counts[request.method, template, status] += 1

    def latest(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def counts(self) -> Counter[tuple[str, str, int]]:
        with self._lock:
            return self._counts.copy()

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()
            self._counts.clear()
