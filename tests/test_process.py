"""A module's process as the platform runs it, while what is around it hangs, is away or refuses: real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from lab.cli import app
from lab.platform.faults import Hang, Status
from lab.platform.local import LocalPlatform
from lab.process import ModuleProcess, claimed_port
from shared.http.environment import BUNDLES
from tests.conformance_base import ConnectorConformance
from tests.rig import Rig
from tests.suites import OF_ALERTS, OF_DEVICES, SUITES
from tests.test_storage import Storage
from tests.waiting import until

STOP = 2.0  # seconds: what the platform may expect
HANGING_HOST = "lookup-hangs.example"
LOOKUPS_HANG = f"""
import ctypes, pathlib, socket

found = socket.getaddrinfo

def getaddrinfo(host, *args, **options):
    if host != "{HANGING_HOST}":
        return found(host, *args, **options)
    pathlib.Path(__file__).with_name("looking-up").touch()
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    while True:  # the second time it waits for itself, within C as a lookup does, where no signal ends it
        libc.pthread_mutex_lock(mutex)

socket.getaddrinfo = getaddrinfo
"""


@pytest.fixture(params=[OF_DEVICES, OF_ALERTS])
def suite(request: pytest.FixtureRequest) -> ConnectorConformance:
    """A module of devices and a module of alerts: both run in the same kind of process."""
    return SUITES[request.param]()


@pytest.fixture
def rig(suite: ConnectorConformance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with suite.lab_module.simulated(35) as console, LocalPlatform() as platform:
        yield suite.rigged(console, platform, tmp_path / "data", monkeypatch)


@pytest.fixture
def lookups_hang(rig: Rig, tmp_path: Path) -> Path:
    """Lookups of one host hang in the rig's processes; the file is there once one does."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(LOOKUPS_HANG)
    rig.environment["PYTHONPATH"] = str(folder)
    return folder / "looking-up"


@pytest.fixture(scope="module")
def storage() -> Iterator[Storage]:
    found = Storage()
    yield found
    found.stop()


def seconds_to_stop(process: ModuleProcess) -> float:
    """From the signal to the end of the process."""
    began = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    until(lambda: process.exit_code is not None, 60)
    assert process.exit_code == 0
    return time.monotonic() - began


DONE = " · next "  # in the line that ends a round


def lines(rig: Rig, text: str) -> list[str]:
    """The log lines at the platform that contain this text."""
    return [line.message for line in rig.platform.logs if text in line.message]


# --- the stop


@pytest.mark.timing
def test_a_process_stops_within_two_seconds_while_the_lookup_of_the_console_hangs(
    rig: Rig, suite: ConnectorConformance, lookups_hang: Path
) -> None:
    """The signal's handler runs in the main thread, once its call into C has returned: that took 18 s."""
    rig.settings = json.loads(json.dumps(rig.settings).replace("127.0.0.1", HANGING_HOST).replace("http:", "https:"))
    with rig.process() as process:
        until(lookups_hang.exists, 30)
        assert seconds_to_stop(process) < STOP


@pytest.mark.timing
def test_a_process_stops_within_two_seconds_while_the_lookup_of_the_object_storage_hangs(
    rig: Rig, lookups_hang: Path, storage: Storage
) -> None:
    rig.environment |= {**storage.environment, "AWS_S3_ENDPOINT_URL": f"https://{HANGING_HOST}"}
    with rig.process() as process:
        until(lookups_hang.exists, 30)
        assert seconds_to_stop(process) < STOP


@pytest.mark.timing
def test_a_process_stops_within_two_seconds_while_the_platform_hangs(rig: Rig) -> None:
    rig.platform.fault(Hang(30), match="secrets")
    rig.platform.hang_logs(30)
    with rig.process() as process:
        until(lambda: process.health() is not None, 30)
        time.sleep(0.5)
        assert seconds_to_stop(process) < STOP


@pytest.mark.timing
def test_the_last_lines_of_a_process_that_is_stopped_reach_the_platform(rig: Rig) -> None:
    with rig.process() as process:
        process.wait_for_rounds(1)
        assert seconds_to_stop(process) < STOP
    assert lines(rig, DONE), "the line of the round that ended before the signal is missing"


# --- logs


@pytest.mark.timing
def test_a_process_does_not_wait_for_a_log_service_that_hangs(rig: Rig, suite: ConnectorConformance) -> None:
    """Each error took five seconds of the thread that reads."""
    rig.platform.hang_logs(60)
    rig.console.fault(Status(404), match=suite.lab_module.list_route)
    with rig.process() as process:
        process.wait_for_rounds(2)
    failed, *retried = [call.at for call in rig.console.calls_to(suite.lab_module.list_route)]
    assert retried[0] - failed < 4, "the next try waited for the log service"
    assert not suite.undelivered(rig)


def test_a_line_that_the_log_service_refuses_costs_a_process_that_line_alone(rig: Rig) -> None:
    rig.platform.refuse_lines("Reading ")
    with rig.process() as process:
        process.wait_for_rounds(1)
        until(lambda: lines(rig, DONE))
    assert not lines(rig, "Reading ")


# --- the ports


def test_the_ports_of_a_process_answer_although_idle_clients_are_connected(rig: Rig) -> None:
    with rig.process() as process, ExitStack() as idle:
        process.wait_for_rounds(1)
        for _ in range(20):
            idle.enter_context(socket.create_connection(("127.0.0.1", process.health_port)))
            idle.enter_context(socket.create_connection(("127.0.0.1", process.metrics_port)))
        assert process.health(), "a probe timed out"
        assert requests.get(process.metrics_url, timeout=2).ok


# --- the storage


def test_a_process_whose_object_storage_is_away_at_the_start_says_so_and_starts_once_it_is_back(
    rig: Rig, suite: ConnectorConformance, storage: Storage
) -> None:
    """It ended with an AttributeError, before anything was logged to the platform."""
    with ExitStack() as claims:
        away = claimed_port(claims)
        rig.environment |= {**storage.environment, "AWS_S3_ENDPOINT_URL": f"http://127.0.0.1:{away}"}
        with rig.process() as process:
            until(
                lambda: lines(rig, "The connector cannot open its storage: Could not connect to the endpoint URL"), 30
            )
            assert "cannot open its storage" in (process.health() or {})["last_error"]
            back = Storage(away)
            try:
                until(lambda: not suite.undelivered(rig), 30)
            finally:
                back.stop()


# --- "Test connector"


def test_the_button_is_answered_whatever_the_settings_hold_in_the_words_of_the_lab(
    rig: Rig, suite: ConnectorConformance, tmp_path: Path
) -> None:
    """The settings were refused before the test began: a traceback, no result, and the button spun."""
    address = next(name for name, value in rig.settings.items() if "127.0.0.1" in str(value))
    rig.settings[address] = "https://console.example:70000"
    rig.platform.module_secrets = {name: rig.settings[name] for name in suite.lab_module.secrets}
    with rig.process("validate_module_configuration") as process:
        until(lambda: process.exit_code is not None, 25)
    assert rig.platform.validation is not None, process.log.read_text()
    assert rig.platform.validation["results"] == {"success": False}
    label = suite.lab_module.manifest["configuration"]["properties"][address]["title"]
    assert f"{label} has a port that is not a number" in rig.platform.validation["error"]
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(rig.settings))
    checked = CliRunner().invoke(app, ["check", rig.module.name, "--module-config", str(settings)])
    assert checked.exit_code == 1
    assert rig.platform.validation["error"] in " ".join(checked.output.split())


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem", "names /no/such/bundle.pem, which cannot be read"),
        ("SSL_CERT_FILE", __file__, "which contains no certificate in PEM form"),
        ("ALL_PROXY", "socks5://127.0.0.1:1", "is a SOCKS proxy"),
    ],
)
def test_an_environment_that_cannot_be_used_is_named_by_the_button_by_each_command_and_by_a_round(
    rig: Rig, suite: ConnectorConformance, tmp_path: Path, variable: str, value: str, words: str
) -> None:
    """`check` ended in a traceback, the button in no answer, a round in "Internal error: OSError"."""
    if variable == "ALL_PROXY":  # of calls to elsewhere only: the platform is this machine
        rig.settings |= {name: "https://console.example" for name in rig.settings if "127.0.0.1" in rig.settings[name]}
    rig.platform.module_secrets = {name: rig.settings[name] for name in suite.lab_module.secrets}
    environment = {**dict.fromkeys(BUNDLES, ""), "NO_PROXY": "127.0.0.1", variable: value}
    rig.environment |= environment
    with rig.process("validate_module_configuration") as process:
        until(lambda: process.exit_code is not None, 25)
    answer = rig.platform.validation
    assert answer, process.log.read_text()
    assert answer["results"] == {"success": False}
    assert variable in answer["error"]
    assert words in answer["error"]
    with rig.process() as process:
        assert words in process.wait_for_rounds(1)["last_error"]
    assert "Traceback" not in process.log.read_text()
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(rig.settings))
    for command in ("check", "preview"):
        done = CliRunner().invoke(app, [command, rig.module.name, "--module-config", str(settings)], env=environment)
        assert done.exit_code == 1
        assert answer["error"] in " ".join(done.output.split())
