"""What every connector holds, of devices and of events, driven from outside: simulated console, real connector, local
platform. `tests/conformance.py` and `tests/event_conformance.py` add what is particular to each kind.
"""

from __future__ import annotations

import math
import re
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab.commands.preview import read_devices
from lab.modules import LabModule
from lab.platform.faults import (
    Empty,
    Fault,
    Hang,
    Html,
    RateLimited,
    Redirect,
    Reset,
    Status,
    Truncated,
    WrongShape,
    long_pages,
)
from lab.platform.local import LocalPlatform
from shared.errors import ConnectorError, TryAgain, UnexpectedReply
from shared.runtime.backoff import Backoff
from shared.runtime.service import HUNG
from shared.times import iso
from tests.clock import Clock
from tests.differences import listed
from tests.endless import endless
from tests.rig import Rig, impatient, signal_handlers_kept
from tests.waiting import HANGS, until

HEALED = [Status(503), Status(500), Status(502), Status(504), Reset(), Truncated()]


class ConnectorConformance(ABC):
    """The part that is the same for both kinds."""

    lab_module: ClassVar[LabModule]
    of_changes: ClassVar[bool] = False  # whether it is the module's trigger on changes, and not its connector
    delivered_by: ClassVar[str]  # the platform's route that takes what is sent
    follows_tasks: ClassVar[bool] = False  # whether the platform reports later how an accepted batch was ingested
    state_files: ClassVar[set[str]]
    pushes: ClassVar[int] = 4  # of a round
    taken: ClassVar[tuple[str, ...]] = ()  # odd answers to a push that by the platform's contract mean it was taken
    under_way: ClassVar[int] = 35  # records that may have been accepted without it being written down, at most
    arguments: ClassVar[dict[str, Any]] = {}  # of the connector, in addition to the rig's own

    # --- each kind says what that is

    @abstractmethod
    def undelivered(self, rig: Rig) -> dict[Any, str]:
        """Records of the console whose latest content the platform does not have, each with what is wrong with it."""

    @abstractmethod
    def deliveries(self, rig: Rig) -> Counter[Any]:
        """How often each device, or each version of an event, was accepted."""

    @abstractmethod
    def behind_cursor(self, rig: Rig) -> dict[Any, float]:
        """Records that are not delivered and would never be read again: their times, before the stored cursor."""

    def assert_all_delivered(self, rig: Rig) -> None:
        missing = self.undelivered(rig)
        why = listed([f"{name} ({reason})" for name, reason in missing.items()])
        assert not missing, f"{len(missing)} of {len(rig.console.ids)} records are not delivered as they are now: {why}"

    def assert_cursor_not_ahead(self, rig: Rig) -> None:
        """Every record that is not delivered is at or after the cursor."""
        passed = self.behind_cursor(rig)
        which = listed([f"{name} (of {iso(at)})" for name, at in passed.items()])
        assert not passed, f"the stored cursor {rig.cursor} is ahead of {len(passed)} undelivered records: {which}"

    def assert_every_page_was_read_once(self, rig: Rig, records: int = 35) -> None:
        calls, pages = rig.console.calls_to(self.lab_module.list_route), math.ceil(records / rig.page_size)
        asked = "\n".join(f"{call.path} {call.query}" for call in calls)
        assert len(calls) == pages, (
            f"{records} records are {pages} pages of {rig.page_size}, but the list was asked for {len(calls)} times:\n{asked}"
        )

    @abstractmethod
    def deliver_all(self, rig: Rig) -> None:
        """A round that delivers all there is; what `change_all` does then is the next round's."""

    @abstractmethod
    def change_all(self, rig: Rig) -> None:
        """Everything the console holds becomes another."""

    # --- the set-up

    @classmethod
    def rigged(cls, console: Any, platform: LocalPlatform, data: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
        """The rig with this connector's arguments."""
        rig = Rig(cls.lab_module, console, platform, data, monkeypatch, changes=cls.of_changes)
        rig.arguments |= cls.arguments
        return rig

    @pytest.fixture
    def platform(self) -> Iterator[LocalPlatform]:
        with LocalPlatform() as platform:
            yield platform

    @pytest.fixture
    def console(self) -> Iterator[Any]:
        with self.lab_module.simulated(35) as console:
            yield console

    @pytest.fixture
    def rig(
        self, console: Any, platform: LocalPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Rig]:
        with signal_handlers_kept():
            yield self.rigged(console, platform, tmp_path / "data", monkeypatch)

    def test_html_instead_of_json_says_what_to_check(self, rig: Rig) -> None:
        rig.console.fault(Html(), match=self.lab_module.list_route, skip=1)
        with pytest.raises(UnexpectedReply, match=r"something in between.*Check"):
            rig.cycle()
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_redirect_to_another_host_is_refused_unsent(self, rig: Rig) -> None:
        with LocalPlatform() as elsewhere:
            rig.console.fault(Redirect(f"{elsewhere.url}/api"), match=self.lab_module.list_route)
            with pytest.raises(ConnectorError):
                rig.cycle()
            assert not elsewhere.calls

    @pytest.mark.parametrize("form", ["seconds", "date", "epoch", "reset", "reset as an epoch"])
    def test_a_429_waits_what_was_asked(self, rig: Rig, form: str) -> None:
        """No less. That it waits no longer is tested in tests/shared/test_http.py, by the waits that it asks for."""

        def refuse_the_second(request: Any) -> None:
            if (
                request.endpoint == self.lab_module.list_route
                and len(rig.console.calls_to(self.lab_module.list_route)) == 1
            ):
                rig.console.before_call = None
                soon = datetime.now(UTC) + timedelta(seconds=3)  # full seconds: over 2
                limited = {
                    "seconds": RateLimited(2),
                    "date": RateLimited(format_datetime(soon, usegmt=True)),
                    "epoch": RateLimited(int(soon.timestamp())),
                    "reset": RateLimited(reset=("X-Rate-Limit-Reset", "2")),
                    "reset as an epoch": RateLimited(reset=("X-RateLimit-Reset", str(int(soon.timestamp())))),
                }
                rig.console.fault(limited[form], match=self.lab_module.list_route)

        rig.console.before_call = refuse_the_second
        rig.cycle()
        _, refused, again, *_ = rig.console.calls_to(self.lab_module.list_route)
        assert refused.status == 429
        assert again.at - refused.at >= 1.0
        self.assert_all_delivered(rig)

    def test_a_429_that_asks_for_long_ends_the_round_with_that_wait(self, rig: Rig) -> None:
        rig.console.fault(RateLimited(120), match=self.lab_module.list_route)
        with pytest.raises(TryAgain) as caught:
            rig.cycle()
        assert caught.value.retry_after == 120
        assert len(rig.console.calls_to(self.lab_module.list_route)) == 1

    @pytest.mark.parametrize("page", [0, 1])
    def test_an_error_in_a_200_is_not_an_empty_list(self, rig: Rig, page: int) -> None:
        """`{"errors": [...], "data": []}` counted as "0 devices, all well"."""
        failed = endless(self.lab_module, errors=[{"message": "shard 3 is down"}])
        rig.console.fault(failed, match=self.lab_module.list_route, skip=page)
        with pytest.raises(UnexpectedReply, match=r'reported an error.*"shard 3 is down"'):
            rig.cycle()
        self.assert_cursor_not_ahead(rig)
        rig.cycle()
        self.assert_all_delivered(rig)

    @pytest.mark.parametrize("fault", [Status(504), Reset(), Truncated(), "a body over the bound"], ids=repr)
    def test_a_page_too_heavy_to_serve_is_read_in_smaller_ones(
        self, rig: Rig, fault: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was asked for at the same size forever."""
        rig.page_size = 40
        too_long = long_pages(self.lab_module.list_route, self.lab_module.size, 10)
        if isinstance(fault, Fault):
            rig.console.fault(fault, match=too_long, times=None)
        else:
            rig.console.fault(WrongShape("x" * 1_000_000), match=too_long, times=None)
            monkeypatch.setattr("shared.http.body.MAX_BYTES", 500_000)
        rig.cycle()
        self.assert_all_delivered(rig)
        asked = [call.query.get(self.lab_module.size) for call in rig.console.calls_to(self.lab_module.list_route)]
        assert {"40", "20", "10"} <= set(asked)

    @pytest.mark.parametrize("fault", HEALED, ids=repr)
    @pytest.mark.parametrize("page", [0, 1, 3])
    def test_transient_errors_are_retried_and_every_record_arrives(self, rig: Rig, fault: Fault, page: int) -> None:
        rig.console.fault(fault, match=self.lab_module.list_route, skip=page, times=2)
        rig.cycle()
        self.assert_all_delivered(rig)

    def test_a_stop_ends_the_wait_between_rounds(self, rig: Rig) -> None:
        """Of an hour: `running` fails where the connector goes on for a minute. Seconds are counted in the tests of SIGTERM."""
        with rig.running() as connector:
            until(lambda: connector.cycles == 1)

    @pytest.mark.parametrize(
        ("fault", "budget"),
        [(Status(401), 0), (RateLimited(3600), 0), (RateLimited(3600), 100_000), (Status(503), 100_000)],
        ids=["401", "429, between rounds", "429, between tries", "503, between tries"],
    )
    def test_a_stop_ends_the_wait_after_an_error(self, rig: Rig, fault: Fault, budget: float) -> None:
        """Of an hour, whether the call waits or the loop."""
        rig.backoff = Backoff(first=3600, most=3600)
        impatient(rig, first_wait=3600, budget=budget)
        rig.console.fault(fault, match=self.lab_module.list_route, times=None)
        with rig.running():
            until(lambda: rig.console.calls_to(self.lab_module.list_route))
            time.sleep(0.2)  # so that it waits by now, as a rule

    def test_a_round_that_reads_page_after_page_is_alive(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """An alert connector was alive by its rounds that succeeded only, and restarted in the middle of a long one."""
        rig.page_size, clock, alive = 3, Clock(monkeypatch), []
        connector = rig.start()

        def take_long(request: Any) -> None:
            if request.endpoint == self.lab_module.list_route:
                alive.append(connector.is_alive())
                clock.now += HUNG * 0.3  # two pages may be asked for ahead

        rig.console.before_call = take_long
        connector.moving()  # as the loop does at the begin of a round
        connector.cycle()
        assert len(alive) > 10
        assert all(alive), f"page {alive.index(False) + 1} of {len(alive)} found the round taken for one that hangs"

    def test_preview_sends_and_writes_nothing(self, rig: Rig) -> None:
        found = read_devices(self.lab_module, self.lab_module.configured(rig.settings), 7)
        assert len(found.events) == 7
        assert not rig.platform.calls
        assert not rig.data.exists()


class ConnectionTestConformance(ConnectorConformance):
    """The "Test connector" button: the module's, so that it is tested with the connector and not with the triggers too."""

    @pytest.mark.parametrize("fault", [None, Status(401)], ids=repr)
    def test_the_platforms_connection_test_answers_the_platform(self, rig: Rig, fault: Fault | None) -> None:
        """A process: the platform starts `main.py validate_module_configuration` and takes the answer from a call."""
        validation = self._answer_of_a_process(rig, fault)
        assert validation["results"]["success"] is (fault is None)
        assert ("error" in validation) is (fault is not None)

    @pytest.mark.timing
    def test_the_connection_test_of_a_console_that_hangs_is_answered_within_20_seconds(self, rig: Rig) -> None:
        """From the start of the process to its end: a person waits for it."""
        began = time.monotonic()
        validation = self._answer_of_a_process(rig, Hang(60))
        assert time.monotonic() - began < 20
        assert validation["results"]["success"] is False

    def _answer_of_a_process(self, rig: Rig, fault: Fault | None) -> dict[str, Any]:
        if fault:
            rig.console.fault(fault, match=self.lab_module.list_route, times=None)
        process = rig.process("validate_module_configuration")
        rig.platform.module_secrets = {name: rig.settings[name] for name in self.lab_module.secrets}
        with process:
            until(lambda: process.exit_code is not None)
        assert process.exit_code == 0
        assert "Traceback" not in process.log.read_text()
        return rig.platform.validation or {}

    def test_a_connection_test_ends_at_its_deadline_whatever_the_console_does(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rig.console.fault(Hang(HANGS), match=self.lab_module.list_route, times=None)
        assert self.lab_module.validator.deadline == 15, "20 seconds less the start of the process"
        monkeypatch.setattr(self.lab_module.validator, "deadline", 0.5)
        validator = self.lab_module.validator(self.lab_module.configured(rig.settings))
        assert not validator.validate()
        assert re.search(r"No answer within .*Check the configured URL", str(validator._error))
        assert rig.console.calls_to(self.lab_module.list_route) == [], "the call has its answer: nothing hung"

    @pytest.mark.parametrize(
        "fault", [Status(401), Status(403), Status(404), Html(), Status(503), Reset(), Empty()], ids=repr
    )
    def test_the_connection_test_says_what_to_do(self, rig: Rig, fault: Fault) -> None:
        rig.console.fault(fault, match=self.lab_module.list_route, times=None)
        validator = self.lab_module.validator(self.lab_module.configured(rig.settings))
        assert not validator.validate()
        assert validator._error
        assert re.search(r"Check|Give|Create|again|empty body", validator._error), validator._error
