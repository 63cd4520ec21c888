"""One device of a thousand that the platform, or a filter before it, refuses because of its content: the others are
delivered in the same round, the one is named, and nothing is sent for it afterwards. The alerts have a test of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.modules import MODULES
from lab.platform.faults import Status
from lab.platform.local import LocalPlatform
from tests.rig import Rig, signal_handlers_kept
from tests.suites import OF_DEVICES

MODULE = MODULES[OF_DEVICES]
DEVICES = 1_000
STATUSES = (400, 403, 409, 413, 422, 500, 502, 504)


@pytest.fixture(scope="module")
def console() -> Iterator[Any]:
    with MODULE.simulated(DEVICES) as console:
        yield console


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(strict=False) as platform:
        yield platform


@pytest.fixture
def begun(
    console: Any, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[bool], Rig]:
    """Makes a rig, of the trigger on changes or of the connector, whose devices are one page and one batch."""

    def begin(changes: bool) -> Rig:
        rig = Rig(MODULE, console, platform, tmp_path, monkeypatch, changes=changes)
        rig.page_size, rig.arguments["batch_size"] = DEVICES, DEVICES
        return rig

    return begin


def uid_of(console: Any) -> str:
    """Of the device that is refused."""
    return str(console.record(console.ids[777])[MODULE.ids[0]])


def refuse(platform: LocalPlatform, route: str, uid: str, status: int) -> None:
    said = json.dumps({"message": "because"})
    platform.fault(
        Status(status, said), match=lambda call: call.endpoint == route and uid.encode() in call.get_data(), times=None
    )


def fail_tasks(platform: LocalPlatform, uid: str) -> None:
    """Each batch with the device is accepted, and its ingestion fails."""

    def script(call: Any) -> None:
        if call.endpoint == "push" and uid.encode() in call.get_data():
            platform.fail_tasks(1)

    platform.before_call = script


def named(caplog: pytest.LogCaptureFixture, uid: str) -> int:
    return sum(record.message.startswith(f"Skipped a device (id {uid})") for record in caplog.records)


@pytest.mark.parametrize("refusal", [*STATUSES, "FAILED task"])
def test_the_inventory_gets_all_others_in_the_same_round(
    begun: Callable[[bool], Rig], platform: LocalPlatform, caplog: pytest.LogCaptureFixture, refusal: Any
) -> None:
    with signal_handlers_kept():
        rig = begun(False)
        uid = uid_of(rig.console)
        if isinstance(refusal, int):
            refuse(platform, "push", uid, refusal)
        else:
            fail_tasks(platform, uid)
        connector = rig.cycle()
        assert (connector.counts.delivered, connector.counts.refused) == (DEVICES - 1, 1)
        assert set(platform.deliveries.values()) == {1}
        assert len(platform.deliveries) == DEVICES - 1
        assert len(platform.calls_to("push")) <= 30
        assert named(caplog, uid) == 1
        platform.forget_calls()
        rig.cycle()
        assert not platform.calls_to("push"), "it is sent again with the same content"


@pytest.mark.parametrize("status", STATUSES)
def test_a_trigger_reports_all_others_in_the_same_round(
    begun: Callable[[bool], Rig], platform: LocalPlatform, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """A vendor that lists changes does not list it again: its event was retried by the next full walk only."""
    with signal_handlers_kept():
        rig = begun(True)
        uid = uid_of(rig.console)
        rig.arguments["include_existing"] = True
        refuse(platform, "callback", uid, status)
        assert rig.cycle().counts.refused == 1
        assert len(platform.playbook_runs) == DEVICES - 1 == len(platform.deliveries)
        for _ in range(3):
            platform.forget_calls()
            rig.cycle()
            assert len(platform.playbook_runs) == DEVICES - 1
        assert not platform.calls_to("callback"), "it is retried in three rounds, and then no more"
        assert named(caplog, uid) == 3
