"""The platform's asset API, its tasks and its intake: accepts everything, counts events and bytes, stores nothing."""

from __future__ import annotations

import time
import uuid

import orjson

from benchmarks.serving import LeanServer, Request

_EVENT = b'"type_uid"'  # once in each event; inside a text the second quote would be escaped


class Receiver(LeanServer):
    """Each batch is accepted; its ingestion is finished after `ingest_in` seconds, by default at once."""

    def __init__(self) -> None:
        super().__init__()
        self._ingestion = 0.0

    def ingest_in(self, seconds: float) -> None:
        """How long each ingestion takes from now on."""
        self._ingestion = seconds

    def answer(self, request: Request) -> bytes:
        if request.method == "GET":
            task = request.target.rpartition("/")[2]
            over = time.time() * 1e6 >= uuid.UUID(task).int
            return orjson.dumps({"uuid": task, "status": "FINISHED" if over else "RUNNING"})
        if request.target.endswith("/batch"):
            events = len(orjson.loads(request.body)["jsons"])
            answer = {"received": True, "event_ids": [str(uuid.uuid4()) for _ in range(events)]}
        else:
            events = request.body.count(_EVENT)
            answer = {"task_id": str(uuid.UUID(int=int((time.time() + self._ingestion) * 1e6)))}  # its end
        with self._lock:
            self._tally.events += events
            self._tally.pushes += 1
        return orjson.dumps(answer)
