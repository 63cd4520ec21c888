"""Answers that come later: HTTP 202 with a ticket in a header, and the answer for who calls again with that ticket."""

from __future__ import annotations

from typing import Any

from shared.errors import ConnectorError, TryAgain
from shared.http.session import ApiSession, Reply

_STARTS = 3  # times a call is made from scratch
_POLLS = 30  # times its answer is asked for: some 4 minutes beside what the server takes for each reply


def call_deferred(ticket: str, session: ApiSession, method: str, path: str, **options: Any) -> Reply:
    """As `ApiSession.call`, but a 202 is repeated, unchanged, with the header `ticket` it came with until the answer
    is there. A later 202 may leave the header out.

    404 and 504 to a repeated call mean that the answer is gone or was not ready in time, so the call is made from
    scratch. TryAgain when that does not help, or at a stop.
    """
    for _ in range(_STARTS):
        wait, headers = session.patience.first_wait, dict[str, str]()
        reply = session.call(method, path, **options)
        for _ in range(_POLLS):
            if reply.status != 202:
                return reply
            _ = reply.json  # none, or it is no answer
            if value := reply.headers.get(ticket):
                headers = {ticket: value}
            if session.stop.wait(wait):
                raise TryAgain(f"Stopped while {session.who} prepared its answer.")
            wait = min(wait * 1.5, session.patience.first_wait * 10)
            try:
                reply = session.call(method, path, headers=headers, **options)
            except ConnectorError as error:
                if not headers or error.status not in (404, 504):
                    raise
                break
    raise TryAgain(
        f"{session.who} did not have its answer to {method} {path} ready in {_STARTS} requests. The connector "
        "tries again later.",
        may_be_size=True,
    )
