"""Runs a module as the platform does: a process, `main.py <command>`, with its configuration in the environment."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from weakref import finalize

import requests

from lab.modules import LabModule
from lab.platform.files import append_to
from lab.platform.local import LocalPlatform
from shared.http.environment import BUNDLES

_START_S = 30.0
_STOP_S = 30.0
PLACEHOLDER = "(handed out at start)"


class ModuleProcess:
    """The process in a module's container. `data` is the folder of its state over restarts, `log` the file of its output.

    As on the platform, secrets are not in the environment: the process asks for them at start.
    """

    def __init__(
        self,
        module: LabModule,
        platform: LocalPlatform,
        settings: dict[str, Any],
        arguments: dict[str, Any],
        data: Path,
        *,
        log: Path,
        command: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.module = module
        self._command = command or module.command
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{module.name} {self._command}"))
        self._data, self.log = data, log
        self._claims = ExitStack()
        self.health_port, self.metrics_port = (claimed_port(self._claims) for _ in range(2))
        finalize(self, self._claims.close)
        self._process: subprocess.Popen[bytes] | None = None
        platform.secrets_of[self.uuid] = {key: settings[key] for key in module.secrets if key in settings}
        changes = self._command != module.command
        platform.node_secrets_of[self.uuid] = {} if changes else {"sekoia_api_key": platform.api_key}
        public = {key: PLACEHOLDER if key in module.secrets else value for key, value in settings.items()}
        connector = {**arguments, **({} if changes else module.kind.reach(platform, PLACEHOLDER))}
        self._environment = {
            **{name: value for name, value in os.environ.items() if name in _KEPT or name.lower().endswith("_proxy")},
            **_direct(),
            **platform.environment(
                public, connector, self.uuid, data, liveness_port=self.health_port, metrics_port=self.metrics_port
            ),
            **(environment or {}),
        }

    def start(self) -> Self:
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with append_to(self.log) as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
                self.invocation,
                cwd=self.module.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    @property
    def program(self) -> list[str]:
        """The arguments of the Python interpreter."""
        return ["main.py"]

    @property
    def invocation(self) -> list[str]:
        """The command line, word by word."""
        return [sys.executable, *self.program, self._command]

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.module.name} is not started")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def metrics_url(self) -> str:
        """The URL of its metrics."""
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    def health(self) -> dict[str, Any] | None:
        """The answer of `/health`; None before the first and after the last one."""
        try:
            url, directly = f"http://127.0.0.1:{self.health_port}/health", {"http": ""}
            found: dict[str, Any] = requests.get(url, proxies=directly, timeout=2).json()
        except (requests.RequestException, ValueError):
            return None
        return found

    def wait_for_rounds(self, rounds: int = 1, timeout: float = 60.0) -> dict[str, Any]:
        """The health after this many rounds, failed ones too; TimeoutError, or RuntimeError if the process ended."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            health = self.health()
            if health and health["cycles"] >= rounds:
                return health
            if self.exit_code is not None:
                raise RuntimeError(f"{self.module.name} ended with code {self.exit_code}; see {self.log}")
            time.sleep(0.05)
        raise TimeoutError(f"{self.module.name} did not end {rounds} rounds within {timeout:.0f} s; see {self.log}")

    def stop(self) -> int:
        """SIGTERM, as the platform stops a container; → the exit code. A process that ignores it is killed."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL, as when the machine is lost."""
        return self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            os.kill(self.pid, how)
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", *BUNDLES)


def _direct() -> dict[str, str]:
    """The environment's NO_PROXY with this machine added, where the platform runs."""
    kept = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(filter(None, (kept, "127.0.0.1", "localhost"))))


def claimed_port(claims: ExitStack) -> int:
    """A free port that no other process of the lab takes while `claims` is open.

    It is outside of the range from which systems choose ports for outgoing connections. The claim is a bound socket
    that does not listen. On Linux a server that reuses addresses, as Python's do, can listen there all the same;
    elsewhere the claim is released at once.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_768), 1_000):
        claim = socket.socket()
        try:
            claim.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        claims.callback(claim.close)
        if sys.platform != "linux":
            claims.close()
        return port
    raise OSError("no free port was found")
