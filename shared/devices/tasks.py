"""Following ingestion tasks: how the platform's work on an accepted batch ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from sekoia_automation.asset_connector.utils import TASK_PENDING_STATUSES

from shared.devices.batch import Batch
from shared.errors import ConnectorError, TryAgain
from shared.http.session import ApiSession

_MAX_UNANSWERED = 3  # tasks asked for without success while none was answered


@dataclass
class Tasks:
    """The tasks of one walk, followed in several threads. `path` is one of `session`; times are seconds.

    A task that cannot be asked for, or is pending `timeout` after the last push, concerns its batch alone: that counts as
    accepted, and not as `followed`.
    """

    session: ApiSession
    path: str
    interval: float
    timeout: float
    warn: Callable[[str], None]
    closed: bool = False

    def __post_init__(self) -> None:
        self._last_push = time.monotonic()
        self._asking = Lock()
        self._answered = self._warned = False
        self._unanswered = 0

    @property
    def unanswered(self) -> bool:
        """Whether tasks were named and none could be asked for: acceptance is all that can be known then."""
        return bool(self._unanswered) and not self._answered

    def pushed(self) -> None:
        """A batch was accepted just now."""
        self._last_push = time.monotonic()

    def outcome(self, task: str, batch: Batch, size: int) -> TryAgain | None:
        """Wait for the end of a task: None when its `size` devices count as delivered, else why they do not."""
        pause = min(1.0, self.interval)
        while not self.closed:
            asked = time.monotonic()
            status, reason = self._ask(task)
            if status == "FINISHED":
                return None
            if status and status not in TASK_PENDING_STATUSES:
                return TryAgain(
                    f"{self.session.who} accepted a batch of {size} devices but could not ingest it: its task ended as "
                    f"{status} ({reason[:200]}). The batch is sent again, in parts.",
                    status=200,
                )
            if status and time.monotonic() - self._last_push > self.timeout:
                self._warn_once(f"An ingestion task is still {status} long after the push.")
                status = ""
            if not status:
                batch.followed = False
                return None
            if self.session.stop.wait(max(0.0, asked + pause - time.monotonic())):
                break
            pause = min(pause * 2, self.interval)
        raise TryAgain(f"Stopped before {self.session.who} had ingested a batch; it is sent again.")

    def _ask(self, task: str) -> tuple[str, str]:
        """A task's status and its error; "" when it cannot be known. One at a time until the first was answered."""
        if not self._answered:
            with self._asking:
                if not self._answered:
                    return self._ask_now(task) if self._unanswered < _MAX_UNANSWERED else ("", "")
        return self._ask_now(task)

    def _ask_now(self, task: str) -> tuple[str, str]:
        try:
            reply = self.session.call("GET", f"{self.path}/{task}").json
        except ConnectorError as error:
            self._unanswered += 1
            self._warn_once(f"The ingestion of a batch cannot be followed: {error}")
            return "", ""
        body = reply if isinstance(reply, dict) else {}
        status = "" if body.get("status") is None else str(body["status"])
        if status:
            self._answered = True
        else:
            self._unanswered += 1
            self._warn_once("The ingestion of a batch cannot be followed: its task was reported without a status.")
        return status, str(body.get("error") or "no reason given")

    def _warn_once(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            self.warn(f"{why} Its batch counts as accepted.")
