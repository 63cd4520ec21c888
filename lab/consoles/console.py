"""What the vendors' consoles have in common: a limit of requests per second, and what a gateway says of wrong paths."""

from __future__ import annotations

import threading
import time
from collections import deque

from flask import Response
from werkzeug.exceptions import HTTPException

from lab.platform.faults import RateLimited
from lab.platform.server import LocalServer

_WINDOW_S = 1.0


class Console(LocalServer):
    """A vendor's console. `rate` is the requests it takes in any second, None for as many as come."""

    software = "nginx"

    def __init__(self, rate: float | None = None, latency: float = 0.0) -> None:
        super().__init__(latency)
        self.rate = rate
        self._recent: deque[float] = deque()
        self._recent_lock = threading.Lock()
        self.app.register_error_handler(404, self.no_such_path)
        self.app.register_error_handler(405, self.wrong_method)

    def admit(self) -> Response | None:
        return self.too_many() if self._over_the_rate() else None

    def too_many(self) -> Response:
        """The answer to a call above the rate: a gateway's page, without `Retry-After`."""
        return RateLimited().answer()

    def no_such_path(self, _: HTTPException) -> Response:
        """The answer where there is no route."""
        return Response("404 page not found\n", 404, content_type="text/plain; charset=utf-8")

    def wrong_method(self, _: HTTPException) -> Response:
        """The answer to a method that the route does not know."""
        return Response("405 method not allowed\n", 405, content_type="text/plain; charset=utf-8")

    def _over_the_rate(self) -> bool:
        if self.rate is None:
            return False
        with self._recent_lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - _WINDOW_S:
                self._recent.popleft()
            if len(self._recent) >= self.rate:
                return True
            self._recent.append(now)
            return False
