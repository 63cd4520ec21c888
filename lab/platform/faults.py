"""The ways a server misbehaves, for tests to script: `server.fault(Status(503), match="push", times=2)`.

A fault is applied before the real handler (which then does not run) or, armed with `after=True`, after it: the call
has its effect and only the answer is replaced. With `Slow` and `Truncated` the real handler runs in any case.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Request, Response, request

from lab.platform.wire import CLOSE, CUT, HALF, RESET

Match = str | Callable[[Request], bool] | None
"""Which calls a fault is for: a route's name ("push"), the start of a path ("/api"), a predicate, or all."""
_PAGE = "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n<hr></body>\r\n</html>\r\n"


class Fault:
    """One way to misbehave. Faults hold no state: the same one may be armed many times."""

    def delay(self) -> float:
        """Seconds to wait first."""
        return 0.0

    def answer(self) -> Response | None:
        """The answer instead, in the context of the request; None lets the real answer through."""
        return None


@dataclass(frozen=True)
class Status(Fault):
    """Any status, with any body; by default an empty object, as of an API that gives no reason."""

    code: int
    body: str = "{}"
    content_type: str = field(default="application/json", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def answer(self) -> Response:
        return Response(self.body, self.code, dict(self.headers), content_type=self.content_type)


@dataclass(frozen=True)
class Html(Fault):
    """A maintenance or login page where JSON was expected: what proxies and gateways send, often with a 200."""

    code: int = 200

    def answer(self) -> Response:
        title = "Sign in" if self.code < 400 else f"{self.code} The service is under maintenance"
        return Response(_PAGE.format(title=title), self.code, content_type="text/html; charset=utf-8")


@dataclass(frozen=True)
class RateLimited(Fault):
    """429; `retry_after` is seconds, an epoch, an HTTP date, or None for no such header; `reset` is a rate limit's header with
    its value. As a gateway's HTML unless `html` is off.
    """

    retry_after: int | str | None = None
    html: bool = True
    reset: tuple[str, str] | None = None

    def answer(self) -> Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        headers.update([self.reset] if self.reset else [])
        if self.html:
            return Response(_PAGE.format(title="429 Too Many Requests"), 429, headers, content_type="text/html")
        return Response('{"error":"too many requests"}', 429, headers, content_type="application/json")


@dataclass(frozen=True)
class Reset(Fault):
    """The connection is reset (RST) before anything is answered."""

    def answer(self) -> Response:
        return _cut(RESET)


@dataclass(frozen=True)
class Truncated(Fault):
    """Half of the real answer's body arrives, under the Content-Length of the complete one, and the connection is closed."""

    def answer(self) -> None:
        request.environ[CUT] = HALF


@dataclass(frozen=True)
class Slow(Fault):
    """The answer is right and comes `seconds` late."""

    seconds: float

    def delay(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Hang(Fault):
    """No answer: the connection stays open for `seconds` and is then closed."""

    seconds: float

    def delay(self) -> float:
        return self.seconds

    def answer(self) -> Response:
        return _cut(CLOSE)


@dataclass(frozen=True)
class Empty(Fault):
    """A status with an empty body."""

    code: int = 200

    def answer(self) -> Response:
        return Response(b"", self.code, content_type="application/json")


@dataclass(frozen=True)
class WrongShape(Fault):
    """JSON that the API does not document: a list, a string, other keys."""

    json: Any
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def answer(self) -> Response:
        return Response(orjson.dumps(self.json), 200, dict(self.headers), content_type="application/json")


@dataclass(frozen=True)
class Made(Fault):
    """Another fault for each call: the pages of a list without an end, for example."""

    make: Callable[[], Fault]

    def answer(self) -> Response | None:
        return self.make().answer()


@dataclass(frozen=True)
class Redirect(Fault):
    """302 to another URL, perhaps on another host."""

    location: str

    def answer(self) -> Response:
        return Response(b"", 302, {"Location": self.location})


@dataclass
class Armed:
    """A fault and the calls it waits for."""

    fault: Fault
    match: Match
    times: int | None
    skip: int
    after: bool

    def concerns(self, call: Request) -> bool:
        if self.match is None:
            return True
        if callable(self.match):
            return self.match(call)
        return call.path.startswith(self.match) if self.match.startswith("/") else call.endpoint == self.match


class Faults:
    """The faults armed at one server. At most one strikes a call; the one armed first has precedence."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[Armed] = []

    def arm(self, armed: Armed) -> None:
        with self._lock:
            self._armed.append(armed)

    def clear(self) -> None:
        with self._lock:
            self._armed.clear()

    def waiting(self) -> list[Fault]:
        """The faults that have not struck as often as they were armed for."""
        with self._lock:
            return [armed.fault for armed in self._armed]

    def strike(self, call: Request) -> Armed | None:
        """The fault for this call, if any; consumed exactly once however many calls arrive together."""
        with self._lock:
            striking: Armed | None = None
            for armed in [armed for armed in self._armed if armed.concerns(call)]:
                if armed.skip > 0:
                    armed.skip -= 1
                elif striking is None:
                    striking = armed
            if striking is not None and striking.times is not None:
                striking.times -= 1
                if striking.times <= 0:
                    self._armed.remove(striking)
            return striking


def long_pages(route: str, parameter: str, records: int) -> Match:
    """The calls to a route whose `parameter` asks for a page of more records than this: a console may be too weak for it."""

    def concerned(call: Request) -> bool:
        return call.endpoint == route and int(call.args.get(parameter, 0)) > records

    return concerned


def _cut(how: str) -> Response:
    request.environ[CUT] = how
    return Response(b"", 500)
