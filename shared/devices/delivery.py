"""Handing batches of device events to the platform: pushed in order, confirmed in order, overlapped with the reading.

Contract of the asset-connector API (Sekoia.io SDK 1.27): `POST …/asset-connector/<uuid>` answers 2xx with `{}` or
`{"task_id": …}`; `GET /api/v1/tasks/<id>` answers `{"status", "error"?}`, PENDING and RUNNING until it has ended,
FINISHED when all is well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from threading import Lock, Semaphore
from typing import Any

from shared.devices.batch import MAX_WEIGHT, Batch, Doubts, Met, TooFew
from shared.devices.tasks import Tasks
from shared.errors import ConnectorError, TryAgain, UnexpectedReply
from shared.http.halving import isolate_refused
from shared.http.session import ApiSession

_MAX_KEPT = 2 * MAX_WEIGHT  # bytes of events kept until their ingestion ended
_AHEAD = 2  # batches queued and not yet accepted: bounds the memory
_FOLLOWERS = 16  # ingestion tasks followed at a time; most take a second
_OF_CONTENT = (400, 413, 422)  # statuses that are rarely about anything but the content


@dataclass(eq=False)
class _Job:
    """A batch on its way. `parts`: the numbers of the events that were accepted together, with their task if any."""

    batch: Batch
    outcome: Future[None] = field(default_factory=Future)
    parts: list[tuple[Sequence[int], str | None]] = field(default_factory=list)


@dataclass
class AssetDelivery:
    """The way of one walk to the platform. `endpoint` and `tasks` are paths of `session`.

    `moving` is called before each push, so that the round is known to get on.
    """

    session: ApiSession
    endpoint: str
    tasks: str
    poll_interval: float
    poll_timeout: float
    warn: Callable[[str], None]
    moving: Callable[[], object]
    doubts: Doubts = field(default_factory=Doubts)

    def __post_init__(self) -> None:
        self._single = self.session.trying_once()
        self._tasks = Tasks(self.session, self.tasks, self.poll_interval, self.poll_timeout, self.warn)
        self._waiting: deque[_Job] = deque()
        self._doubtful: list[tuple[_Job, ConnectorError]] = []  # too small to judge, with their refusal
        self._kept: deque[_Job] = deque()  # their ingestion has not ended
        self._room = Semaphore(_AHEAD)
        self._lock = Lock()
        self._searching = (
            Lock()
        )  # one failed batch at a time: after one of a platform that ingests nothing the round ends
        self._pusher = ThreadPoolExecutor(1, thread_name_prefix="push")
        self._followers = ThreadPoolExecutor(_FOLLOWERS, thread_name_prefix="task")
        self._failed = self._accepted = False
        self.reordered = False  # whether events were sent again, perhaps after later ones of the same devices

    @property
    def unanswered(self) -> bool:
        """Whether no task of the walk was answered, though some were named."""
        return self._tasks.unanswered

    def serialize(self, met: Met) -> bytes:
        return met.written

    def serialize_gone(self, description: list[Any]) -> bytes:
        return b""  # the platform has no call for it

    def send(self, batch: Batch) -> None:
        """Queue a batch; waits while two are not yet accepted. Its outcome comes with `confirmed`."""
        while not self._room.acquire(timeout=0.1):
            if self.session.stop.is_set():
                return
        job = _Job(batch)
        self._waiting.append(job)
        self._pusher.submit(self._push, job)

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        """The batches whose outcome is known by now, in the order sent; raises at each that failed.

        With `all_of_them` it waits for every batch; a stop ends that wait.
        """
        if all_of_them:
            self._pusher.submit(self._end)
        while self._waiting:
            outcome = self._waiting[0].outcome
            while all_of_them and not outcome.done() and not self.session.stop.is_set():
                wait([outcome], timeout=0.1)
            if not outcome.done():
                return
            batch = self._waiting.popleft().batch
            outcome.result()
            yield batch

    def close(self) -> None:
        """Push nothing more; what is in flight ends by itself."""
        self._failed = self._tasks.closed = True
        self._pusher.shutdown(wait=False, cancel_futures=True)
        self._followers.shutdown(wait=False, cancel_futures=True)

    def _fail(self, job: _Job, error: Exception) -> None:
        """After an error that is not about the content nothing more is pushed."""
        self._failed = True
        if isinstance(error, ConnectorError):
            error.ends_round = True
        job.outcome.set_exception(error)

    # --- the thread that pushes

    def _push(self, job: _Job) -> None:
        try:
            self._accept(job)
            self.doubts.count, self._accepted = 0, True
            self._follow_up(job)
            while self._doubtful:
                self._judge(*self._doubtful.pop())
        except TooFew as error:
            self._doubtful.append((job, error.refusal))
        except Exception as error:  # noqa: BLE001 - handed to the round, which tells errors from bugs
            self._fail(job, error)
        finally:
            self._room.release()

    def _accept(self, job: _Job) -> None:
        """Push a batch; where it is refused because of its content, all of it but the culprits."""
        if self._failed or self.session.stop.is_set():
            raise TryAgain("A batch was not sent, because one before it failed.")
        everything = range(job.batch.size)
        try:
            self._post(job, everything, self._single if self.doubts.count else self.session)
        except ConnectorError as error:
            self._isolate(job, everything, error, works=job.batch.is_suspect)

    def _judge(self, job: _Job, refusal: ConnectorError) -> None:
        """The platform accepts others: this batch was refused because of its content."""
        try:
            self._isolate(job, range(job.batch.size), refusal, works=True)
            self._follow_up(job)
        except Exception as error:  # noqa: BLE001 - handed to the round
            self._fail(job, error)

    def _end(self) -> None:
        """All batches were pushed: one too small to judge is an error, unless others were accepted and its status says enough."""
        while self._doubtful:
            job, refusal = self._doubtful.pop()
            if self._accepted and refusal.status in _OF_CONTENT:
                self._judge(job, refusal)
            else:
                job.outcome.set_exception(TooFew(refusal))

    def _isolate(
        self,
        job: _Job,
        numbers: Sequence[int],
        refusal: ConnectorError,
        push: Callable[[Sequence[int]], None] | None = None,
        *,
        works: bool = False,
    ) -> None:
        """Push these events of a batch again in parts and note which are refused; TooFew when that cannot be known yet."""
        self.reordered = True
        push = push or partial(self._post, job, session=self._single)
        try:
            for part, error in isolate_refused(numbers, push, refusal, works=works):
                if error:
                    job.batch.refuse(part[0], error)
        except ConnectorError as error:
            raise self.doubts.judged(error, refusal, len(numbers)) from None

    def _post(self, job: _Job, numbers: Sequence[int], session: ApiSession) -> None:
        """Push events in one call. Raises unless the platform accepted them."""
        events = job.batch.events if len(numbers) == job.batch.size else [job.batch.events[n] for n in numbers]
        if not self._failed:  # else the round may have ended
            self.moving()
        body = b'{"version":1,"items":[' + b",".join(events) + b"]}"
        reply = session.call("POST", self.endpoint, data=body, headers={"Content-Type": "application/json"})
        try:
            accepted = reply.json
        except UnexpectedReply as error:
            error.status = reply.status
            raise
        if not isinstance(accepted, dict):
            raise UnexpectedReply(
                f"{session.who} did not confirm a batch of {len(events)} devices; it is sent again.",
                status=reply.status,
            )
        self._tasks.pushed()
        job.parts.append((numbers, accepted.get("task_id")))

    def _follow_up(self, job: _Job) -> None:
        """Follow its ingestion tasks. Its events are kept meanwhile, to be sent again; beyond the bound the oldest are freed."""
        if not any(task for _, task in job.parts):
            self._done(job)
            return
        with self._lock:
            self._kept.append(job)
            while sum(each.batch.weight for each in self._kept) > _MAX_KEPT:
                self._kept.popleft().batch.events = []
        self._followers.submit(self._follow, job)

    def _done(self, job: _Job) -> None:
        with self._lock, suppress(ValueError):
            self._kept.remove(job)
        job.batch.events = []
        job.outcome.set_result(None)

    # --- the threads that follow ingestion tasks

    def _follow(self, job: _Job) -> None:
        try:
            for numbers, task in [*job.parts]:
                if task and (failure := self._tasks.outcome(task, job.batch, len(numbers))):
                    self._send_again(job, numbers, failure)
            self._done(job)
        except TooFew as error:
            job.outcome.set_exception(error)
        except Exception as error:  # noqa: BLE001 - handed to the round, which tells errors from bugs
            self._fail(job, error)

    def _send_again(self, job: _Job, numbers: Sequence[int], failure: TryAgain) -> None:
        """Send events that could not be ingested again, in parts, each followed to its end."""

        def push(part: Sequence[int]) -> None:
            self._post(job, part, self._single)
            _, task = job.parts.pop()
            if task and (failed := self._tasks.outcome(task, job.batch, len(part))):
                raise failed

        with self._searching:
            with self._lock, suppress(ValueError):
                self._kept.remove(job)  # what is sent again is not freed meanwhile
            if self._failed or not job.batch.events:
                raise failure
            self.warn(str(failure))
            try:
                self._isolate(job, numbers, failure, push)
            except ConnectorError as error:
                self._failed |= not isinstance(error, TooFew)
                raise
