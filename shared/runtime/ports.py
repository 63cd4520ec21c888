"""The two ports of a module's process: `/health` and metrics."""

from __future__ import annotations

from contextlib import suppress
from socketserver import ThreadingTCPServer
from typing import Any

from sekoia_automation.trigger import LivenessHandler

IDLE = 5.0  # seconds that a client may take for a part of its request


class Port(ThreadingTCPServer):
    """Serves each connection in a thread of its own: the SDK's servers serve one after the other, and wait for an idle one.

    No name of this machine is looked up, as `HTTPServer` does.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer one connection; a client that left before its answer, or sends nothing, is not an error."""
        request.settimeout(IDLE)
        with suppress(OSError):
            super().finish_request(request, client_address)


class HealthHandler(LivenessHandler):
    """Answers `/health`. Logs no line per probe."""

    def log_message(self, *_: Any) -> None: ...
