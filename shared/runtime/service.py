"""A module's process: starts with clear words, repeats its cycle, backs off, reports, and stops at once.

Mixed in before one of the SDK's trigger classes. It replaces the SDK's start-up, loop and log posting, which block on
a platform that does not answer, poll without pause after an error and cannot be stopped while they wait.

The main thread only waits: Python runs a signal's handler there, and not before a call into C has returned.
"""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import RLock, Thread
from typing import TYPE_CHECKING, Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import MetricsHandler
from sekoia_automation.metrics import PrometheusExporterThread
from sekoia_automation.module import Module
from sekoia_automation.trigger import Trigger
from typing_extensions import override

from shared.errors import ConnectorError, TryAgain
from shared.http.session import ApiSession, Patience
from shared.masking import shown
from shared.runtime import heap, sdk
from shared.runtime.backoff import Backoff
from shared.runtime.logs import Line, LogPoster, keep_secrets
from shared.runtime.metrics import Counts, Rounds
from shared.runtime.platform import platform_session
from shared.runtime.ports import HealthHandler, Port
from shared.runtime.settings import readable_error
from shared.state.storage import opened_data_path

HUNG = 7_200.0  # seconds: a rate limit counted by the hour may make a call wait for most of one
_ROUND_ENDS = 1.0  # seconds from a stop in which the round may store what is delivered
_HEARS = 0.2  # seconds between two looks for a signal
_FLUSH = 0.5  # seconds after them for the last log lines: a stop may take 2 s


class ConnectorModule(Module):
    """Base of the modules' own classes: its log and its reports to Sentry hold no secret, no call is traced."""

    if TYPE_CHECKING:
        configuration: Any  # a subclass annotates it with its settings, and the SDK validates into that type

    @override
    def run(self) -> None:
        heap.prepare()  # before the first thread begins
        super().run()

    @override
    def register(self, item: Any, name: str = "") -> None:
        for registered in (type(self), item):
            sdk.require(registered)
        super().register(item, name)

    @override
    def manifest_required_properties(self) -> list[str]:
        """None: the settings find what is missing, and name it by its label."""
        return []

    @override
    def init_sentry(self) -> None:
        super().init_sentry()
        keep_secrets()


class Service(Trigger):
    """What the five modules' triggers share as processes. A subclass does one round in `cycle`."""

    hung_after = HUNG
    backoff = Backoff()
    patience = Patience()
    rate = 10  # events a second that start playbooks: a change of policy can touch a whole fleet

    if TYPE_CHECKING:
        configuration: Any  # a subclass annotates it, and the SDK validates into that type

    def __init__(self, module: Module | None = None, data_path: Path | None = None, **kwargs: Any) -> None:
        # First, for the SDK takes over the signals and may log. `put` is safe in a signal handler, an Event's `set` is not.
        self._ending: SimpleQueue[None] = SimpleQueue()
        self._signalled = False
        self._log_lock = RLock()
        self._poster = LogPoster(self._post_lines)
        super().__init__(module, data_path or Path(), **kwargs)
        self._data_path = data_path  # without one, the SDK would open the storage here, where a stop is not heard
        self._poster.lines.extend(self._logs)
        self._logs = self._poster.lines  # type: ignore[assignment] # bounded
        self._logs_timer = self._poster  # type: ignore[assignment] # the SDK's dies of its first exception
        self._moved_at: float | None = None  # when the round last got on, monotonic; None between rounds
        self.counts = Counts()  # of the present or last round
        self.metrics = Rounds(lambda: self.counts, self.cursor)
        self.cycles = 0
        self.last_error: str | None = None
        # Tests of whole processes cannot reach into them: the waits are scaled from outside.
        if scale := float(os.environ.get("CONNECTOR_WAIT_SCALE") or 0):
            self.backoff = replace(self.backoff, first=self.backoff.first * scale, most=self.backoff.most * scale)
            self.patience = replace(self.patience, first_wait=self.patience.first_wait * scale)
            self.rate = round(self.rate / scale)

    @property
    def frequency(self) -> int:
        """Seconds from the start of a round to the start of the next."""
        return int(self.configuration.frequency)

    @abstractmethod
    def cycle(self) -> None:
        """One round. Raises a ConnectorError when it could not be ended; everything else it raises is a bug."""

    def cursor(self) -> float | None:
        """The oldest stored position, epoch seconds; None where there is none."""
        return None

    # --- the loop

    @override
    def run(self) -> None:
        """Rounds, `frequency` seconds from start to start, or the back-off after a failed one, until the stop."""
        failures = 0
        while self.running:
            began = time.monotonic()
            self.moving()
            failure = self._failure_of_cycle()
            self._moved_at = None
            heap.return_freed()
            self.metrics.ended(well=failure is None, seconds=time.monotonic() - began)
            self.cycles += 1
            if not self.running:
                return
            failures = failures + 1 if failure else 0
            pause = self._pause_after(failure, failures) if failure else self.frequency - (time.monotonic() - began)
            self._stop_event.wait(max(pause, 0.05))

    def _failure_of_cycle(self) -> Exception | None:
        """Run one round; → what stopped it, None when it ended well. A bug is reported with its traceback."""
        try:
            self.cycle()
        except Exception as error:  # noqa: BLE001 - not in a hot loop, as the SDK would
            if readable_error(error) is None:
                self._handle_trigger_exception(error)
            return error
        self.last_error = None
        return None

    def _pause_after(self, error: Exception, failures: int) -> float:
        """Seconds until the next try, logged with what went wrong."""
        failure = readable_error(error)
        pause = self.backoff.wait(failures)
        if isinstance(failure, TryAgain) and failure.retry_after:
            pause = max(pause, failure.retry_after)
        message = str(failure) if failure else f"Internal error: {type(error).__name__}."
        self.last_error = message
        self.log(f"{message} Next try in {pause:.0f} s.", level="error")
        return pause

    def moving(self) -> bool:
        """Whether to go on. The call itself shows `/health` that the round gets on: a page, a push, a tenant, a window."""
        self._moved_at = time.monotonic()
        self.heartbeat()
        return self.running

    # --- the start and the stop

    @override
    def execute(self) -> None:
        """Work in a thread until a stop; a signal also ends the process, for calls in flight cannot be interrupted."""
        worker = Thread(target=self._work, name="rounds", daemon=True)
        worker.start()
        while True:  # handlers run in this thread only, and a signal that another one receives does not wake it
            with suppress(Empty):
                self._ending.get(timeout=_HEARS)
                break
        worker.join(_ROUND_ENDS)
        self._poster.close(_FLUSH)
        if self._signalled:
            os._exit(0)

    @override
    def stop(self, *args: Any, **kwargs: Any) -> None:
        """End the loop; also the signals' handler."""
        super().stop(*args, **kwargs)
        self._signalled = self._signalled or bool(args)
        self._ending.put(None)

    def _work(self) -> None:
        """As the SDK's `execute`, but a failed start is reported, on the platform too, and retried."""
        failures = 0
        try:
            while self.running:
                try:
                    _ = self.module.configuration, self.configuration  # a wrong one is found before anything is done
                    super().execute()
                except Exception as error:  # noqa: BLE001 - nothing above could report it
                    if readable_error(error) is None:
                        self.log_exception(error, message="The module could not start")
                    failures += 1
                    self.cycles += 1
                    self._stop_event.wait(self._pause_after(error, failures))
        finally:
            self._ending.put(None)

    @override
    def _ensure_data_path_set(self) -> None:
        """As the SDK does, but in one try: `_work` reports a storage that is away, and retries."""
        self._data_path = self._data_path or opened_data_path()

    @override
    def _get_secrets_from_server(self) -> tuple[dict[str, Any], dict[str, Any]]:  # type: ignore[override] # no retrying here
        """The module's secrets and this item's. One call: `execute` repeats it, on the stop event."""
        platform = platform_session(self, self.secrets_url, Patience(read=30.0, attempts=1))
        try:
            found = platform.call("GET", platform.base_url).json
            return dict(found.get("value") or {}), dict(found.get("node_value") or {})
        except ConnectorError as error:
            raise TryAgain(f"The Sekoia.io platform did not hand out the module's secrets. {error}") from None
        except (ValueError, TypeError, AttributeError):
            raise TryAgain(
                "The Sekoia.io platform did not hand out the module's secrets: its reply has none."
            ) from None

    # --- logs and health

    def next_round(self, began: float) -> str:
        """When the round after one that began then (epoch seconds) is due, for the log."""
        return time.strftime("%H:%M UTC", time.gmtime(max(began + self.frequency, time.time())))

    @override
    def log(self, message: str, level: Any = "info", *args: Any, **kwargs: Any) -> None:
        """As the SDK does, but fit to be shown; its rate limit is not made for several threads."""
        with self._log_lock:
            super().log(shown(message), level, *args, **kwargs)

    @override
    def _send_logs_to_api(self) -> None:  # type: ignore[override] # no retrying here
        self._poster.wake()

    def _post_lines(self, lines: Sequence[Line]) -> None:
        self._log_service.call("POST", self._log_service.base_url, json={"logs": lines})

    @cached_property
    def _log_service(self) -> ApiSession:
        """With a stop event of its own: the last lines are posted after the stop."""
        return platform_session(self, self.logs_url, Patience(connect=5.0, read=5.0, attempts=1), "Sekoia.io logs")

    @override
    def is_alive(self) -> bool:
        """False when a round has hung, for `/health`: whoever runs the container starts it again."""
        since = 0.0 if (moved_at := self._moved_at) is None else time.monotonic() - moved_at
        if since > self.hung_after:
            self.log(
                f"This round has made no progress for {since:.0f} s: the container has to be restarted.", level="error"
            )
        return since <= self.hung_after

    @override
    def liveness_context(self) -> dict[str, Any]:
        """What `/health` answers, with what the connector is doing: the lab's progress bars read it."""
        doing = {"cycles": self.cycles, "last_error": self.last_error, "round": asdict(self.counts)}
        return {**super().liveness_context(), **doing}

    @override
    def start_monitoring(self) -> None:
        """Open both ports, as the SDK does."""
        REGISTRY.register(self.metrics)
        HealthHandler.trigger = self
        self._liveness_server = self._port(self.LIVENESS_PORT_FILE_NAME, 8000, HealthHandler)  # type: ignore[assignment] # ours
        Thread(target=self._liveness_server.serve_forever, name="health", daemon=True).start()  # type: ignore[attr-defined] # ours
        metrics = self._port(self.METRICS_PORT_FILE_NAME, 8020, MetricsHandler.factory(REGISTRY))
        self._exporter = PrometheusExporterThread(metrics, name="metrics", daemon=True)  # type: ignore[assignment] # ours
        self._exporter.start()  # type: ignore[attr-defined] # ours

    def _port(self, name: str, usual: int, handler: Any) -> Port:
        return Port(("", int(self.module.load_config(name, non_exist_ok=True) or usual)), handler)

    @override
    def stop_monitoring(self) -> None:
        REGISTRY.unregister(self.metrics)
        super().stop_monitoring()
