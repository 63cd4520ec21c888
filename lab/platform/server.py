"""A small HTTP server on loopback that records its calls and returns faults on request.

The local platform and every simulated console are such servers. `stop()` leaves no thread and no open port.
"""

from __future__ import annotations

import secrets
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import orjson
from flask import Flask, Request, Response, g, request
from flask.typing import ResponseReturnValue
from werkzeug.serving import BaseWSGIServer, make_server

from lab.platform.calls import Call, CallLog
from lab.platform.faults import Armed, Fault, Faults, Match
from lab.platform.wire import CLOSE, CUT, RESET, Connections, KeepAliveHandler

_POLL_S = 0.02  # how long the accepting loop may take to see that it must end
_JOIN_S = 5.0


class LocalServer:
    """Serves on 127.0.0.1 from a thread of its own, on a port the system chooses and that a restart keeps.

    `latency` is seconds before each answer; `clock_offset` is how far the server's clock runs ahead of ours, seen in
    its `Date` header. `before_call` runs in the serving thread before each call: the way to change things mid-walk.
    Every process of this machine can call it, so its credentials are new each time.
    """

    software = "lab"

    def __init__(self, latency: float = 0.0) -> None:
        self.latency = latency
        self.clock_offset = timedelta(0)
        self.before_call: Callable[[Request], None] | None = None
        self.tls: ssl.SSLContext | None = None
        self.connections = Connections()
        self.app = Flask(type(self).__name__, static_folder=None, root_path="/")
        self.app.before_request(self._arrive)
        self.app.after_request(self._leave)
        self._log = CallLog()
        self._faults = Faults()
        self._stopping = threading.Event()
        self._port = 0
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        if not self._port:
            raise RuntimeError(f"{type(self).__name__} has no address before it is started.")
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> Self:
        """Serve; started again after `stop()`, on the port it had."""
        if self._server is not None:
            return self
        self._stopping = threading.Event()
        self.connections = Connections()
        handler = type("Handler", (KeepAliveHandler,), {"site": self})
        self._server = make_server(
            "127.0.0.1", self._port, self.app, threaded=True, request_handler=handler, ssl_context=self.tls
        )
        self._port = self._server.port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name=f"{type(self).__name__}:{self._port}", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close all connections and the port. Delayed answers are dropped."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._stopping.set()
        server.shutdown()
        thread.join(_JOIN_S)
        self.connections.close_all(_JOIN_S)
        self._server = self._thread = None

    def now(self) -> datetime:
        """The time on the server's own clock, UTC."""
        return datetime.now(UTC) + self.clock_offset

    def pause(self, seconds: float) -> None:
        """Wait, or until the server stops."""
        if seconds > 0:
            self._stopping.wait(seconds)

    @property
    def calls(self) -> list[Call]:
        """The latest 10,000 calls, oldest first."""
        return self._log.latest()

    @property
    def counts(self) -> Counter[tuple[str, str, int]]:
        """Every call ever answered, counted by method, route template ("/tasks/<task>") and status."""
        return self._log.counts()

    def calls_to(self, route: str) -> list[Call]:
        """Of the latest calls, those to the route of that name."""
        return [call for call in self.calls if call.route == route]

    def forget_calls(self) -> None:
        self._log.clear()

    def fault(
        self, fault: Fault, match: Match = None, times: int | None = 1, skip: int = 0, after: bool = False
    ) -> None:
        """Answer with this fault the next `times` calls (None: all) that `match`, after the first `skip` of them.

        With `after` the call has its effect before its answer is replaced. A call has one fault at most, the one that
        was armed first. Calls that meet another fault count towards `skip` too.
        """
        self._faults.arm(Armed(fault, match, times, skip, after))

    def clear_faults(self) -> None:
        self._faults.clear()

    @property
    def waiting_faults(self) -> list[Fault]:
        """The faults that have not struck as often as they were armed for."""
        return self._faults.waiting()

    def route(self, method: str, path: str, name: str, view: Callable[..., ResponseReturnValue]) -> None:
        """Serve `path` (Flask's syntax) under a name that faults and tests can speak of."""
        self.app.add_url_rule(path, name, view, methods=[method], provide_automatic_options=False)

    def admit(self) -> Response | None:
        """For subclasses: the refusal of a call (because of its rate or a header); None lets it through."""
        return None

    def _arrive(self) -> Response | None:
        if request.headers.get("Host") not in (f"127.0.0.1:{self._port}", f"localhost:{self._port}"):
            return Response("This server is for this machine alone.\n", 421)  # a page in a browser chose the name
        self.pause(self.latency)
        return self._meet_a_fault() or self._turn_away()

    def _meet_a_fault(self) -> Response | None:
        if self.before_call is not None:
            self.before_call(request)
        g.armed = armed = self._faults.strike(request)
        if armed is not None and not armed.after:
            self.pause(armed.fault.delay())
            if (answer := armed.fault.answer()) is not None:
                return answer
        return None

    def _turn_away(self) -> Response | None:
        """A stopping server drops the calls that it has delayed."""
        if self._stopping.is_set():
            request.environ[CUT] = CLOSE
            return Response(b"", 503)
        return self.admit()

    def _leave(self, answer: Response) -> Response:
        armed: Armed | None = g.get("armed")
        if armed is not None and armed.after:
            self.pause(armed.fault.delay())
            answer = armed.fault.answer() or answer
        cut = request.environ.get(CUT)
        self._log.record(request, 0 if cut in (RESET, CLOSE) else answer.status_code)
        return answer


def new_secret(purpose: str) -> str:
    """A random credential that begins with its purpose."""
    return f"{purpose}-{secrets.token_urlsafe(24)}"


def answer_json(payload: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer, in the key order of `payload`."""
    return Response(orjson.dumps(payload), status, headers, content_type="application/json")
