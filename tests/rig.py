"""The real thing in the middle: a connector between a simulated console and the local platform, over HTTP."""

from __future__ import annotations

import json
import logging
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.modules import LabModule
from lab.platform.local import LocalPlatform
from lab.process import ModuleProcess
from shared.http.session import Patience
from shared.runtime.backoff import Backoff
from tests.waiting import HANGS, until

UUID = "5a5b6f0e-6c3e-4c64-9d39-3d1b6c1d1f00"
QUICK = Patience(connect=HANGS, read=HANGS, attempts=3, budget=HANGS, first_wait=0.01)


class Clock:
    """The clock of the device connectors; `ahead` by so many seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        held = SimpleNamespace(**{name: getattr(time, name) for name in ("monotonic", "strftime", "gmtime")})
        held.time = lambda: time.time() + self.ahead
        monkeypatch.setattr("shared.devices.polling.time", held)


class Elsewhere:
    """A platform under another host name."""

    def __init__(self, platform: LocalPlatform) -> None:
        self._platform = platform
        self.url = platform.url.replace("127.0.0.1", "localhost")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._platform, name)


class Rig:
    """Starts connectors or, with `changes`, triggers (each `start` is a restart over the same data) and runs their rounds in this process."""

    def __init__(
        self,
        module: LabModule,
        console: Any,
        platform: LocalPlatform,
        data: Path,
        monkeypatch: pytest.MonkeyPatch,
        *,
        changes: bool = False,
    ) -> None:
        self.connector: Any = module.changes if changes else module.connector
        self.command = module.changes_command if changes else module.command
        self.module, self.console, self.platform, self.data = module, console, platform, data
        self.settings = module.settings_for(console)
        self.arguments: dict[str, Any] = {"batch_size": 10, "full_sync_interval": 86400, "frequency": 3600}
        self.page_size = 10
        self.patience = replace(QUICK, ahead=self.connector.patience.ahead)
        self.backoff = Backoff(first=0.05, most=0.2)
        self.rate = 10_000
        self.environment: dict[
            str, str
        ] = {}  # in addition to the platform's; with FILE_BACKEND, the SDK finds the data
        self._monkeypatch = monkeypatch

    def start(self, **arguments: Any) -> Any:
        """A connector as after a (re)start, its secrets handed out."""
        connector_configuration = {
            **self.arguments,
            **arguments,
            **self.module.kind.reach(self.platform, self.platform.api_key),
        }
        environment = self.platform.environment(
            self.settings, connector_configuration, UUID, self.data, liveness_port=0, metrics_port=0
        )
        for name, value in {**environment, **self.environment}.items():
            self._monkeypatch.setenv(name, value)
        module = self.module.module()
        module._manifest = self.module.manifest
        connector = self.connector(module, data_path=None if "FILE_BACKEND" in self.environment else self.data)
        connector.page_size = self.page_size
        connector.patience = self.patience
        connector.rate = self.rate
        connector.backoff = self.backoff
        return connector

    def cycle(self, connector: Any = None, **arguments: Any) -> Any:
        """One round of a freshly started connector (or of this one)."""
        connector = connector or self.start(**arguments)
        connector.cycle()
        return connector

    def overtake(self, first: Any, second: Any) -> None:
        """A round of the first, in the middle of which the second does the whole of its own, on the same storage."""

        def run_second(request: Any) -> None:
            if request.endpoint == self.module.list_route:
                self.console.before_call = None
                second.cycle()

        self.console.before_call = run_second
        first.cycle()

    @property
    def name(self) -> str:
        """By which the vendor is called in messages and metrics."""
        return self.module.name

    @property
    def cursor(self) -> str | None:
        """The stored cursor; None when there is none."""
        path = self.state("context.json")
        return json.loads(path.read_text()).get(self.connector.cursor_key) if path.exists() else None

    def state(self, name: str) -> Path:
        """A file of the connector's state."""
        return self.data / f"{getattr(self.connector, 'state_prefix', '')}{name}"

    @contextmanager
    def running(self, **arguments: Any) -> Iterator[Any]:
        """The connector's loop in a thread; stopped at the end."""
        connector = self.start(**arguments)
        thread = threading.Thread(target=connector.run, name="run")
        thread.start()
        try:
            yield connector
        finally:
            connector.stop()
            thread.join(HANGS)
            assert not thread.is_alive(), f"the connector still runs {HANGS:.0f} s after its stop"

    def process(self, command: str | None = None, **arguments: Any) -> ModuleProcess:
        """The module as the platform runs it, not yet started; waits between tries are short."""
        return ModuleProcess(
            self.module,
            self.platform,
            self.settings,
            {**self.arguments, **arguments},
            self.data,
            log=self.data / "module.log",
            command=command or self.command,
            environment={"CONNECTOR_WAIT_SCALE": "0.01", **self.environment},
        )


def until_signals_are_caught(process: ModuleProcess) -> None:
    """Wait until a process that was just started has its handler for SIGTERM: an earlier signal would kill it."""
    path = Path(f"/proc/{process.pid}/status")
    until(
        lambda: int(re.search(r"^SigCgt:\s*(\w+)$", path.read_text(), re.MULTILINE)[1], 16) >> (signal.SIGTERM - 1) & 1
    )


def assert_stops_in_time(process: ModuleProcess) -> None:
    """SIGTERM ends the process within the 2 seconds that are promised, from the signal to its end."""
    began = time.monotonic()
    code = process.stop()
    took = time.monotonic() - began
    assert code == 0, f"the process ended with code {code} after SIGTERM; it wrote:\n{process.log.read_text()}"
    assert took < 2, f"the process ended {took:.2f} s after SIGTERM"


def assert_next_try_is_far(caplog: pytest.LogCaptureFixture) -> None:
    """The connector logged one error, and that it tries again in half a minute or so."""
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1, errors
    assert re.search(r"Next try in (2[4-9]|3[0-6]) s\.$", errors[0]), errors[0]


def impatient(rig: Rig, **changes: Any) -> None:
    """Change how long the rig's connectors wait."""
    rig.patience = replace(rig.patience, **changes)


@contextmanager
def signal_handlers_kept() -> Iterator[None]:
    """The SDK's trigger takes the process's signal handlers; the test runner wants them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
