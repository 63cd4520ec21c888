"""Deferred answers: HTTP 202 with a ticket in a header, and the answer to the same call with that ticket."""

from __future__ import annotations

from typing import Any

from shared.errors import ConnectorError, TryAgain
from shared.http.session import ApiSession, Reply

_STARTS = 3  # times that a call is made from scratch
_POLLS = 30  # times that its answer is asked for: some 4 minutes, besides the server's time for each reply


def call_deferred(ticket: str, session: ApiSession, method: str, path: str, **options: Any) -> Reply:
    """As `ApiSession.call`, but after a 202 the same call is repeated, with the 202's header `ticket`, until the answer
    arrives. A later 202 may lack the header.

    404 and 504 to a repeated call mean that the answer is gone or was not ready in time: the call is made from scratch.
    TryAgain when that does not help, or at a stop.
    """
    for _ in range(_STARTS):
        wait, headers = session.patience.first_wait, dict[str, str]()
        reply = session.call(method, path, **options)
        for _ in range(_POLLS):
            if reply.status != 202:
                return reply
            _ = reply.json  # raises unless it is empty or JSON: the 202 may be of something in between
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
