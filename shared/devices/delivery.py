"""Handing batches of device events to the platform: pushed in order, confirmed in order, overlapped with the reading.

Contract of the asset-connector API (Sekoia.io SDK 1.27): `POST …/asset-connector/<uuid>` answers 2xx with `{}` or
`{"task_id": …}`; `GET /api/v1/tasks/<id>` answers `{"status", "error"?}`, PENDING and RUNNING until it has ended,
FINISHED when all is well.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event, Semaphore
from typing import Any

from sekoia_automation.asset_connector.utils import TASK_PENDING_STATUSES

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http.session import ApiSession

MOST_WEIGHT = 16 * 1024 * 1024  # bytes of events in memory: so many are sent, however few they are
_AHEAD = 2  # batches handed over and not yet accepted: bounds the memory
_FOLLOWERS = 16  # ingestions waited for at a time; most take a second


@dataclass
class Batch:
    """Serialised events, the fingerprints to remember once they are delivered, and the cursor's place after them.

    `most`: how many it may hold. `refusal`: why the platform does not take what it holds; None when it was delivered.
    """

    events: list[bytes] = field(default_factory=list)
    entries: list[tuple[int, int]] = field(default_factory=list)
    cursor: float | None = None
    silent: int = 0  # events that are only remembered
    weight: int = 0  # bytes of its events
    most: int = 1
    refusal: ConnectorError | None = None

    @property
    def size(self) -> int:
        return len(self.entries)

    def add(self, event: bytes, key: int, value: int) -> None:
        self.events.append(event)
        self.entries.append((key, value))
        self.silent += not event
        self.weight += len(event)


class AssetDelivery:
    """One cycle's way to the platform. `endpoint` and `tasks` are paths of `session`."""

    def __init__(
        self,
        session: ApiSession,
        endpoint: str,
        tasks: str,
        *,
        poll_interval: float,
        poll_timeout: float,
        warn: Callable[[str], None],
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._tasks = tasks
        self._poll_interval = poll_interval
        self._poll_timeout = poll_timeout
        self._warn = warn
        self._stop: Event = session.stop
        self._waiting: deque[tuple[Batch, Future[ConnectorError | None]]] = deque()
        self._room = Semaphore(_AHEAD)
        self._pusher = ThreadPoolExecutor(1, thread_name_prefix="push")
        self._followers = ThreadPoolExecutor(_FOLLOWERS, thread_name_prefix="task")
        self._failed = False
        self._follow_tasks = True
        self._last_push = time.monotonic()

    def form(self, event: dict[str, Any], written: bytes, before: int | None, now: int) -> bytes:
        return written

    def send(self, batch: Batch) -> None:
        """Hand a batch over; waits while two are not yet accepted. Its outcome comes with `confirmed`."""
        while not self._room.acquire(timeout=0.1):
            if self._stop.is_set():
                return
        settled: Future[ConnectorError | None] = Future()
        self._waiting.append((batch, settled))
        self._pusher.submit(self._push, batch, settled)

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        """The batches delivered or refused by now, in the order sent; raises at the first that failed.

        With `all_of_them` it waits for every batch; a stop ends that wait.
        """
        while self._waiting:
            batch, settled = self._waiting[0]
            if not (settled.done() or (all_of_them and self._settled(settled))):
                return
            batch.refusal = settled.result()
            self._waiting.popleft()
            yield batch

    def close(self) -> None:
        """Push nothing more; what is under way ends by itself."""
        self._failed, self._follow_tasks = True, False
        self._pusher.shutdown(wait=False, cancel_futures=True)
        self._followers.shutdown(wait=False, cancel_futures=True)

    def _settled(self, settled: Future[ConnectorError | None]) -> bool:
        """Wait until the outcome is known, or the process stops."""
        while not self._stop.is_set() and not settled.done():
            wait([settled], timeout=0.1)
        return settled.done()

    def _push(self, batch: Batch, settled: Future[ConnectorError | None]) -> None:
        try:
            task = self._accepted(batch)
        except Exception as error:  # noqa: BLE001 - handed to the cycle, which tells errors from bugs
            if isinstance(error, ConnectorError) and error.of_contents:
                settled.set_result(error.with_traceback(None))  # its frames hold what was sent
            else:
                self._failed = True
                if isinstance(error, ActionNeeded | TryAgain):  # not the batch, the way to the platform
                    error.ends_round = True
                settled.set_exception(error)
        else:
            if task and self._follow_tasks:
                self._followers.submit(self._follow, task, batch.size, settled)
            else:
                settled.set_result(None)
        finally:
            batch.events = []
            self._room.release()

    def _accepted(self, batch: Batch) -> str | None:
        """Push one batch; → the ingestion task it named. Raises unless the platform accepted it."""
        if self._failed or self._stop.is_set():
            raise TryAgain("A batch was not sent, because one before it failed.")
        body = b'{"version":1,"items":[' + b",".join(batch.events) + b"]}"
        reply = self._session.call("POST", self._endpoint, data=body, headers={"Content-Type": "application/json"})
        if not isinstance(reply.json, dict):
            raise UnexpectedReply(
                f"{self._session.who} did not confirm a batch of {batch.size} devices; it is sent again."
            )
        self._last_push = time.monotonic()
        return reply.json.get("task_id")

    def _follow(self, task: str, size: int, settled: Future[ConnectorError | None]) -> None:
        try:
            settled.set_result(self._ingested(task, size))
        except Exception as error:  # noqa: BLE001 - handed to the cycle, which tells errors from bugs
            settled.set_exception(error)

    def _ingested(self, task: str, size: int) -> ConnectorError | None:
        """Return when the batch counts as delivered; or why the platform could not ingest it."""
        pause = min(1.0, self._poll_interval)
        while self._follow_tasks:
            asked = time.monotonic()
            try:
                reply = self._session.call("GET", f"{self._tasks}/{task}").json
            except ConnectorError as error:
                self._stop_following(f"The ingestion of the batches cannot be followed: {error}")
                break
            told = reply if isinstance(reply, dict) else {}
            status = told.get("status")
            if status == "FINISHED":
                break
            if status is None:
                self._stop_following("The ingestion of the batches cannot be followed: a task was told without status.")
                break
            if str(status) not in TASK_PENDING_STATUSES:
                return TryAgain(
                    f"{self._session.who} accepted a batch of {size} devices but could not ingest it: its task ended as "
                    f"{status} ({str(told.get('error') or 'no reason given')[:200]}). The batch is sent again."
                )
            if time.monotonic() - self._last_push > self._poll_timeout:
                self._stop_following(f"An ingestion task is still {status} long after the push.")
                break
            if self._stop.wait(max(0.0, asked + pause - time.monotonic())):
                raise TryAgain(f"Stopped before {self._session.who} had ingested a batch; it is sent again.")
            pause = min(pause * 2, self._poll_interval)
        return None

    def _stop_following(self, why: str) -> None:
        """For the rest of the cycle acceptance counts as delivery."""
        if self._follow_tasks:
            self._follow_tasks = False
            self._warn(f"{why} Until the next cycle a batch counts as delivered once it is accepted.")
