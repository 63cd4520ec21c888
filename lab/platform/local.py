"""A stand-in for the part of the Sekoia.io platform that a module's container sees: eight calls, strict on each.

Shapes and statuses are those that the automation SDK 1.27 sends and expects. Where the SDK accepts more than the real
platform promises, this one is strict: a request of a wrong shape is answered with 400 and kept in `refused`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from flask import Request, Response, request

from lab.platform.faults import Hang, Status
from lab.platform.ingestion import Arrivals, Event, Push, Tasks
from lab.platform.inspection import has_uid, is_log, is_uuid, problem_with
from lab.platform.server import LocalServer, answer_json, new_secret

INTAKE_LIMIT = 10_485_760
"""Bytes of a request to the intake, the limit the SDK states."""
EVENT_LIMIT = 250_000
"""Characters of one event; the SDK does not send longer ones."""
ASSETS = "/api/v2/asset-management/asset-connector"


@dataclass(frozen=True)
class Log:
    """One line a module logged to the platform; `date` is naive UTC in ISO form, as the SDK writes it."""

    date: str
    level: str
    message: str


@dataclass(frozen=True)
class PlaybookRun:
    """One playbook start by a trigger's event; `connector` is the uuid of the trigger's configuration."""

    connector: str
    name: str
    event: Any
    request_id: str


@dataclass(frozen=True)
class Refused:
    """A request of a wrong shape: the route's name, why, and its body."""

    route: str
    reason: str
    body: Any


class LocalPlatform(LocalServer):
    """The platform on loopback. Routes by name: secrets, logs, callback, validator, intake, push, task.

    `module_secrets` and `node_secrets` are what `/secrets` hands out at a module's start. With `tasks` every accepted
    batch names an ingestion task, reported as PENDING and RUNNING for `task_polls` answers and `task_seconds`, then as
    FINISHED unless scripted otherwise. A batch whose task will not finish is not ingested. With `keep=False` only
    identities and counts are kept; with `strict=False` only the uid of each item is checked, to measure a module's
    speed.
    """

    def __init__(
        self,
        api_key: str | None = None,
        module_secrets: dict[str, Any] | None = None,
        node_secrets: dict[str, Any] | None = None,
        *,
        tasks: bool = True,
        out: Path | None = None,
        latency: float = 0.0,
        keep: bool = True,
        token: str | None = None,
        intake_key: str | None = None,
        strict: bool = True,
    ) -> None:
        super().__init__(latency)
        self.api_key = api_key or new_secret("local-api-key")
        self.token = token or new_secret("local-token")
        self.intake_key = intake_key or new_secret("local-intake-key")
        self.module_secrets, self.node_secrets = module_secrets or {}, node_secrets
        self.tasks, self.task_polls, self.task_seconds = tasks, 0, 0.0
        self.strict = strict
        self.on_push: Callable[[list[Event]], None] | None = None
        self.pushes: list[Push] = []
        self.refused: deque[Refused] = deque(maxlen=100)
        self.logs: deque[Log] = deque(maxlen=10_000)
        self.playbook_runs: list[PlaybookRun] = []
        self.validation: dict[str, Any] | None = None
        self.validation_running = False
        self._records_lock = threading.Lock()
        self._scripted = Tasks()
        self._arrivals = Arrivals(keep, out)
        self.secrets_of: dict[str, dict[str, Any]] = {}  # by connector, where several share the platform
        self.node_secrets_of: dict[str, dict[str, Any]] = {}
        self.route("GET", "/api/v1/secrets/<connector>", "secrets", self._secrets)
        self.route("POST", "/logs", "logs", self._logs)
        self.route("POST", "/callback/<connector>", "callback", self._callback)
        self.route("PATCH", "/callback/<connector>", "validator", self._validator)
        self.route("POST", "/intake/batch", "intake", self._intake)
        self.route("POST", f"{ASSETS}/<connector>", "push", self._push)
        self.route("GET", "/api/v1/tasks/<task>", "task", self._task)

    # For tests, the demo and benchmarks

    @property
    def devices(self) -> dict[str, Event]:
        """The latest ingested event of each device, by `device.uid`; the events are `{}` with `keep=False`."""
        return self._arrivals.devices_of(None)

    def devices_of(self, connector: str) -> dict[str, Event]:
        """As `devices`, of the connector with that configuration uuid alone."""
        return self._arrivals.devices_of(connector)

    @property
    def deliveries(self) -> Counter[str]:
        """How often each device was ingested, by `device.uid`."""
        return self._arrivals.deliveries()

    @property
    def alerts(self) -> list[str]:
        """The events that the intake received, as strings, in order; empty with `keep=False`."""
        return self._arrivals.all_alerts()

    @property
    def alert_count(self) -> int:
        return self._arrivals.alert_count()

    def refuse_alerts(self, holding: str, status: int = 400, body: str = "") -> None:
        """The intake, or a filter before it, refuses each batch that contains this text, until `clear_faults`."""
        self._refuse_text("intake", holding, Status(status, body))

    def fail_tasks(self, count: int = 1, error: str | None = "The assets could not be ingested") -> None:
        """Accept the next `count` batches and let their ingestion fail."""
        self._scripted.script("FAILED", count, error)

    def heal_tasks(self) -> None:
        """From now on every ingestion succeeds."""
        self._scripted.unscript()

    def hang_tasks(self, count: int = 1) -> None:
        """Accept the next `count` batches and let their ingestion stay PENDING for ever."""
        self._scripted.script("PENDING", count)

    def hang_logs(self, seconds: float) -> None:
        """From now on the log API does not answer: each call hangs for so long."""
        self.fault(Hang(seconds), match="logs", times=None)

    def refuse_lines(self, holding: str) -> None:
        """From now on the log API refuses each call that contains this text, as a web filter does."""
        self._refuse_text("logs", holding, Status(400))

    def _refuse_text(self, route: str, text: str, fault: Status) -> None:
        self.fault(fault, match=lambda call: call.endpoint == route and text.encode() in call.get_data(), times=None)

    def stop(self) -> None:
        super().stop()
        self._arrivals.close()

    def environment(
        self,
        module_configuration: dict[str, Any],
        connector_configuration: dict[str, Any],
        uuid: str,
        data: Path,
        *,
        liveness_port: int,
        metrics_port: int,
    ) -> dict[str, str]:
        """The environment variables with which this platform would start a module's container.

        An absolute `SUB_FOLDER` takes the place of the SDK's /symphony_data, because pathlib joins that way.
        """
        return {
            "MODULE_CONFIGURATION": json.dumps(module_configuration),
            "CONNECTOR_CONFIGURATION": json.dumps(connector_configuration),
            "TRIGGER_CONFIGURATION": json.dumps(connector_configuration),
            "CONNECTOR_CONFIGURATION_UUID": uuid,
            "TOKEN": self.token,
            "URL_CALLBACK": f"{self.url}/callback/{uuid}",
            "URL_SECRETS": f"{self.url}/api/v1/secrets/{uuid}",
            "URL_LOGS": f"{self.url}/logs",
            "INTAKE_URL": f"{self.url}/intake",
            "LIVENESS_PORT": str(liveness_port),
            "METRICS_PORT": str(metrics_port),
            "SUB_FOLDER": str(data.absolute()),
        }

    # The eight calls

    def admit(self) -> Response | None:
        expected = {"push": self.api_key, "task": self.api_key, "intake": None}.get(request.endpoint or "", self.token)
        if expected is None or request.headers.get("Authorization") == f"Bearer {expected}":
            return None
        return answer_json({"code": "T300", "message": "The token is invalid"}, 401)

    def _secrets(self, connector: str) -> Response:
        value = self.secrets_of.get(connector, self.module_secrets)
        return answer_json({"value": value, "node_value": self.node_secrets_of.get(connector, self.node_secrets)})

    def _logs(self) -> Response:
        body = _json(request)
        lines = body.get("logs") if isinstance(body, dict) else None
        if not isinstance(lines, list) or not all(map(is_log, lines)):
            return self._refuse("logs: a list of date, level and message was expected", body)
        self.logs.extend(Log(line["date"], line["level"], line["message"]) for line in lines)
        return answer_json({})

    def _callback(self, connector: str) -> Response:
        body = _json(request)
        if not isinstance(body, dict) or not isinstance(body.get("name"), str) or "event" not in body:
            return self._refuse("callback: name and event were expected", body)
        if not is_uuid(body.get("request_id"), version=4):
            return self._refuse("callback: request_id is not a uuid4", body)
        event = body["event"]
        if has_uid(event):  # a trigger's event of a device
            self._arrivals.devices([event], connector)
        with self._records_lock:
            self.playbook_runs.append(PlaybookRun(connector, body["name"], event, body["request_id"]))
        return answer_json({})

    def _validator(self, connector: str) -> Response:
        body = _json(request)
        status = body.get("status") if isinstance(body, dict) else None
        if status == "running":
            self.validation_running = True
            return answer_json({"module_configuration": {"value": self.module_secrets}})
        results = body.get("results") if status == "finished" else None
        if not isinstance(results, dict) or not isinstance(results.get("success"), bool):
            return self._refuse("validator: running, or finished with results.success, was expected", body)
        self.validation, self.validation_running = body, False
        return answer_json({})

    def _intake(self) -> Response:
        if len(request.get_data()) > INTAKE_LIMIT:
            return self._refuse(f"intake: more than {INTAKE_LIMIT} bytes", None, 413)
        body = _json(request)
        texts = body.get("jsons") if isinstance(body, dict) else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return self._refuse("intake: jsons is not a list of strings", body)
        if body.get("intake_key") != self.intake_key:
            return self._refuse("intake: the intake key is wrong", None, 401)
        if any(len(text) > EVENT_LIMIT for text in texts):
            return self._refuse(f"intake: an event of more than {EVENT_LIMIT} characters", None)
        self._arrivals.alerts(texts)
        return answer_json({"received": True, "event_ids": [str(uuid.uuid4()) for _ in texts]})

    def _push(self, connector: str) -> Response:
        if not is_uuid(connector):
            return answer_json({"code": "NOT_FOUND", "message": "No such asset connector"}, 404)
        body = _json(request)
        items = body.get("items") if isinstance(body, dict) and body.get("version") == 1 else None
        if not isinstance(items, list):
            return self._refuse("push: version 1 and a list of items were expected", body)
        if problem := self._problem(items):
            return self._refuse(f"push: {problem}", body)
        task = self._scripted.create(self.task_polls, self.task_seconds) if self.tasks else None
        ingested = task is None or task.outcome == "FINISHED"
        if ingested:
            self._arrivals.devices(items, connector)
        size = len(request.get_data())
        with self._records_lock:
            self.pushes.append(Push(connector, len(items), size, task.uuid if task else None, ingested))
        if self.on_push is not None:
            self.on_push(items)
        return answer_json({"task_id": task.uuid} if task else {})

    def _problem(self, items: list[Any]) -> str | None:
        if not self.strict:
            return None if all(map(has_uid, items)) else "items: device.uid is missing"
        return next((f"items.{n}: {why}" for n, item in enumerate(items) if (why := problem_with(item))), None)

    def _task(self, task: str) -> Response:
        report = self._scripted.poll(task)
        return answer_json(report) if report else answer_json({"code": "NOT_FOUND", "message": "No such task"}, 404)

    def _refuse(self, reason: str, body: Any, status: int = 400) -> Response:
        self.refused.append(Refused(request.endpoint or "", reason, body))
        return answer_json({"code": "INVALID", "message": reason}, status)


def _json(call: Request) -> Any:
    try:
        return orjson.loads(call.get_data())
    except orjson.JSONDecodeError:
        return None
