"""A module's process: starts with clear words, repeats its cycle, backs off, reports, and stops at once.

Mixed in before one of the SDK's trigger classes. It replaces the SDK's start-up, loop and log posting, which block on
a platform that does not answer, poll without pause after an error and cannot be stopped while they wait.
"""

from __future__ import annotations

import os
import threading
import time
from abc import abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import requests
import sentry_sdk
from prometheus_client import REGISTRY
from sekoia_automation.configuration.exception import MissingConfigurationError
from sekoia_automation.exceptions import ModuleConfigurationError, TriggerConfigurationError
from sekoia_automation.module import Module
from sekoia_automation.trigger import LivenessHandler, Trigger

from shared.errors import ActionNeeded, ConnectorError, TryAgain
from shared.http.session import Patience
from shared.runtime.backoff import Backoff
from shared.runtime.metrics import Counts, Rounds
from shared.runtime.settings import configuration_error

_LEAVE_AFTER = 1.5  # seconds from a signal to the end, whatever call is still under way: a stop may take 2 s
_MOST_LOGS = 5_000  # lines kept while the platform takes none
_CONFIGURATION_ERRORS = (ModuleConfigurationError, TriggerConfigurationError, MissingConfigurationError)


class ConnectorModule(Module):
    """Base of the modules' own classes: what Sentry is told of a bug holds no local variables, which hold secrets."""

    if TYPE_CHECKING:
        configuration: Any  # a subclass annotates it with its settings, and the SDK validates into that type

    def init_sentry(self) -> None:
        super().init_sentry()
        sentry_sdk.get_client().options["include_local_variables"] = False


class Service(Trigger):
    """What the five modules' triggers share as processes. A subclass does one round in `cycle`."""

    backoff = Backoff()
    patience = Patience()
    rate = 10  # events a second that start playbooks: a change of policy can touch a whole fleet

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._log_lock = threading.Lock()
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
    @abstractmethod
    def frequency(self) -> int:
        """Seconds from the start of a round to the start of the next."""

    @abstractmethod
    def cycle(self) -> None:
        """One round. Raises a ConnectorError when it could not be ended; everything else it raises is a bug."""

    def cursor(self) -> float | None:
        """The oldest stored position, epoch seconds; None where there is none."""
        return None

    # --- the loop

    def run(self) -> None:
        """Rounds, `frequency` seconds from start to start, or the back-off after a failed one, until the stop."""
        failures = 0
        while self.running:
            began = time.monotonic()
            failure = self._failure_of_cycle()
            self.metrics.ended(well=failure is None, seconds=time.monotonic() - began)
            self.cycles += 1
            if not self.running:
                return
            failures = failures + 1 if failure else 0
            pause = self._pause_after(failure, failures) if failure else self.frequency - (time.monotonic() - began)
            self._stop_event.wait(max(pause, 0.05))

    def _failure_of_cycle(self) -> Exception | None:
        """Run one round; → what stopped it, reported; None when it ended well."""
        try:
            self.cycle()
        except ConnectorError as error:
            return error
        except _CONFIGURATION_ERRORS as error:
            return ActionNeeded(configuration_error(error))
        except Exception as error:  # noqa: BLE001 - a bug: reported with its traceback, and not in a hot loop
            self._handle_trigger_exception(error)
            return error
        self.last_error = None
        return None

    def _pause_after(self, failure: Exception, failures: int) -> float:
        pause = self.backoff.wait(failures)
        if isinstance(failure, TryAgain) and failure.retry_after:
            pause = max(pause, failure.retry_after)
        message = str(failure) if isinstance(failure, ConnectorError) else f"Internal error: {type(failure).__name__}."
        self.last_error = message
        self.log(f"{message} Next try in {pause:.0f} s.", level="error")
        return pause

    # --- the start

    def execute(self) -> None:
        """As the SDK does, but a start that fails says why, on the platform too, and is tried again."""
        failures = 0
        while self.running:
            try:
                self._check_configuration()
                super().execute()
            except Exception as error:  # noqa: BLE001 - nothing above could say it
                failures += 1
                failure = error
                if isinstance(error, _CONFIGURATION_ERRORS):
                    failure = ActionNeeded(configuration_error(error))
                elif not isinstance(error, ConnectorError):
                    self.log_exception(error, message="The module could not start")
                self.cycles += 1
                self._stop_event.wait(self._pause_after(failure, failures))

    def _check_configuration(self) -> None:
        """Raise a configuration error before anything else is done with it."""
        _ = self.module.configuration, self.configuration

    def _get_secrets_from_server(self) -> tuple[dict[str, Any], dict[str, Any]]:  # type: ignore[override] # no retrying here
        """The module's secrets and this item's. One call: `execute` repeats it, on the stop event."""
        try:
            response = requests.get(self.secrets_url, headers=self._headers, timeout=(10, 30))
            response.raise_for_status()
            found = response.json()
            return dict(found.get("value") or {}), dict(found.get("node_value") or {})
        except (requests.RequestException, ValueError, TypeError, AttributeError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            what = f"HTTP {status}" if status else type(error).__name__
            raise TryAgain(f"The Sekoia.io platform did not hand out the module's secrets ({what}).") from None

    # --- the stop

    def stop(self, *args: Any, **kwargs: Any) -> None:
        """End the loop. Called as a signal handler, it also ends the process in time: a call under way cannot be
        interrupted, and what it would bring is asked for again after the restart."""
        super().stop(*args, **kwargs)
        if args:
            last_resort = threading.Timer(_LEAVE_AFTER, os._exit, (0,))
            last_resort.daemon = True
            last_resort.start()

    # --- logs and health

    def report(self, done: Counts, began: float) -> None:
        """Say what a round did that began then (epoch seconds), and when the next one is due."""
        learned = f" · learned {done.learned}" if done.learned else ""
        due = time.strftime("%H:%M UTC", time.gmtime(max(began + self.frequency, time.time())))
        self.log(
            f"read {done.read} · sent {done.sent} · unchanged {done.unchanged} · skipped {done.skipped}{learned} · "
            f"{done.seconds:.1f} s · next {due}",
            level="info",
        )

    def _send_logs_to_api(self) -> None:  # type: ignore[override] # no retrying here
        """Post what is logged, once: the timer comes again. A platform that takes no logs must not stop the work."""
        with self._log_lock:
            logs, self._logs = self._logs[-_MOST_LOGS:], []
            if not logs:
                return
            try:
                timeout = 5 if self.running else 0.5
                response = requests.post(self.logs_url, json={"logs": logs}, headers=self._headers, timeout=timeout)
                response.raise_for_status()
            except (requests.RequestException, MissingConfigurationError):
                self._logs = logs + self._logs

    def liveness_context(self) -> dict[str, Any]:
        """What `/health` answers, with what the connector is doing: the lab's progress bars read it."""
        return {**super().liveness_context(), "cycles": self.cycles, "last_error": self.last_error}

    def start_monitoring(self) -> None:
        REGISTRY.register(self.metrics)
        super().start_monitoring()
        if self._liveness_server:
            self._liveness_server.RequestHandlerClass = QuietLivenessHandler

    def stop_monitoring(self) -> None:
        REGISTRY.unregister(self.metrics)
        super().stop_monitoring()


class QuietLivenessHandler(LivenessHandler):
    """Writes no line per probe, and none of one that did not wait for its answer."""

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: Any) -> None: ...
