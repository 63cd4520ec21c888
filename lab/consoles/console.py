"""The bases of the vendors' consoles: a rate limit, a gateway's errors, a fleet of devices."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.collection import Collection, Mark
from lab.platform.faults import RateLimited
from lab.platform.server import LocalServer

_WINDOW_S = 1.0


class Console(LocalServer):
    """A vendor's console. `rate` is the maximum of requests in any second, None for no maximum."""

    software = "nginx"

    def __init__(self, rate: float | None = None, latency: float = 0.0) -> None:
        super().__init__(latency)
        self.rate = rate
        self._recent: deque[float] = deque()
        self._recent_lock = threading.Lock()
        self.app.register_error_handler(404, self.no_such_path)
        self.app.register_error_handler(405, self.wrong_method)

    def token_sent(self, scheme: str) -> str | None:
        """The token in the current call's `Authorization` header; None without one of this scheme."""
        given, _, token = request.headers.get("Authorization", "").partition(" ")
        return token if given.lower() == scheme.lower() else None

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


class DeviceConsole(Console, ABC):
    """A console with one fleet: `marks` are the fields that its list sorts and filters by, `identity` is one of them.

    Fleets of more than `packed_from` devices are kept compressed.
    """

    identity: ClassVar[str] = "id"
    marks: ClassVar[Mapping[str, Callable[[Any], Mark]]] = {"id": str}
    packed_from: ClassVar[int] = 200_000

    def __init__(self, rate: float | None = None, latency: float = 0.0) -> None:
        super().__init__(rate, latency)
        self._fleet = self._empty_fleet()
        self._last_write = datetime.min.replace(tzinfo=UTC)

    @abstractmethod
    def generated(self, count: int, seed: int) -> Iterable[Any]:
        """`count` records of the vendor."""

    def touched(self) -> dict[str, Any]:
        """The fields that every change sets too, such as the time of the last update."""
        return {}

    @abstractmethod
    def checked_in(self) -> dict[str, Any]:
        """The fields that a heartbeat sets."""

    def has(self, records: int | Iterable[Any], seed: int = 7) -> None:
        """Replace the fleet: by a number of generated devices, or by these records as they are."""
        if isinstance(records, int):
            self._fleet = self._empty_fleet(packed=records > self.packed_from)
            records = self.generated(records, seed)
        self._fleet.fill(records)

    @property
    def ids(self) -> list[str]:
        """The identities of all records, in the order of arrival; those without one have a name that begins with ~."""
        return list(self._fleet)

    def record(self, identity: str) -> dict[str, Any]:
        """A copy of the record."""
        return dict(self._fleet[identity])

    def add(self, record: Any) -> None:
        """Add a record, as it is."""
        self._fleet.put(record)

    def change(self, identity: str, **fields: Any) -> None:
        """Set these fields, by dotted path, as the console does: with the time of the update where it keeps one."""
        self._fleet.change(identity, {**self.touched(), **fields})

    def heartbeat(self, identity: str) -> None:
        """Let the device check in, without any other change."""
        self._fleet.change(identity, self.checked_in())

    def remove(self, identity: str) -> None:
        """Delete the record."""
        self._fleet.remove(identity)

    def later(self, step: timedelta = timedelta(microseconds=1)) -> datetime:
        """Now by the console's clock (`clock_offset`), and at least a step after the time that was returned last."""
        self._last_write = max(self.now(), self._last_write + step)
        return self._last_write

    def _empty_fleet(self, packed: bool = False) -> Collection:
        return Collection(self.identity, self.marks, packed)
