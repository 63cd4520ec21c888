"""What every connector holds, of devices and of events, driven from outside: simulated console, real connector, local
platform. `tests/conformance.py` and `tests/event_conformance.py` add what is particular to each kind.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from lab.faults import Empty, Fault, Hang, Html, RateLimited, Redirect, Reset, Status, Truncated
from lab.modules import LabModule
from lab.platform import LocalPlatform
from lab.preview import read_devices
from shared.errors import ConnectorError, TryAgain, UnexpectedReply
from shared.runtime.service import HUNG
from tests.clock import Clock
from tests.rig import Rig, signal_handlers_kept

HEALED = [Status(503), Status(500), Status(502), Status(504), Reset(), Truncated()]


class ConnectorConformance:
    """The part that is the same for both kinds."""

    lab_module: ClassVar[LabModule]
    list_route: ClassVar[str]  # the name of the simulated console's route that lists devices or events
    token_route: ClassVar[str | None] = None  # the console's route that hands out tokens, where they are fetched
    of_changes: ClassVar[bool] = False  # whether it is the module's trigger on changes, and not its connector
    delivered_by: ClassVar[str]  # the platform's route that takes what is sent
    follows_tasks: ClassVar[bool] = False  # whether the platform tells later how what it took was ingested
    renewed: ClassVar[tuple[str, ...]] = ("401",)  # answers of the list after which one new token is tried
    page_without_end: ClassVar[Any]  # a page that names itself as the next
    state_files: ClassVar[set[str]]
    pushes: ClassVar[int] = 4  # of a round
    taken: ClassVar[tuple[str, ...]] = ()  # odd answers to a push that by the platform's contract mean it was taken
    under_way: ClassVar[int] = 35  # records that may have been accepted without it being written down, at most
    arguments: ClassVar[dict[str, Any]] = {}  # of the connector, beside the rig's own

    # --- each kind says what that is

    def undelivered(self, rig: Rig) -> Any:
        """What the console holds and the platform does not, in its latest content; empty when all has arrived."""
        raise NotImplementedError

    def deliveries(self, rig: Rig) -> Counter[Any]:
        """How often each device, or each version of an event, was accepted."""
        raise NotImplementedError

    def assert_cursor_not_ahead(self, rig: Rig) -> None:
        """Everything that is not delivered lies at or after the cursor."""
        raise NotImplementedError

    def deliver_all(self, rig: Rig) -> None:
        """A round that delivers all there is; what `change_all` does then is the next round's."""
        raise NotImplementedError

    def change_all(self, rig: Rig) -> None:
        """Everything the console holds becomes another."""
        raise NotImplementedError

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
        rig.console.fault(Html(), match=self.list_route, skip=1)
        with pytest.raises(UnexpectedReply, match=r"HTML page.*Check"):
            rig.cycle()
        rig.cycle()
        assert not self.undelivered(rig)

    def test_a_redirect_to_another_host_is_refused_unsent(self, rig: Rig) -> None:
        with LocalPlatform() as elsewhere:
            rig.console.fault(Redirect(f"{elsewhere.url}/api"), match=self.list_route)
            with pytest.raises(ConnectorError):
                rig.cycle()
            assert not elsewhere.calls

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_a_429_waits_what_was_asked(self, rig: Rig, form: str) -> None:
        asked = 2 if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
        rig.console.fault(RateLimited(asked), match=self.list_route, skip=1)
        rig.cycle()
        first, second = [call.at for call in rig.console.calls_to(self.list_route)][1:3]
        assert 1.0 <= second - first < 6
        assert not self.undelivered(rig)

    def test_a_429_that_asks_for_long_ends_the_round_with_that_wait(self, rig: Rig) -> None:
        rig.console.fault(RateLimited(120), match=self.list_route)
        with pytest.raises(TryAgain) as caught:
            rig.cycle()
        assert caught.value.retry_after == 120
        assert len(rig.console.calls_to(self.list_route)) == 1

    @pytest.mark.parametrize("fault", HEALED, ids=repr)
    @pytest.mark.parametrize("page", [0, 1, 3])
    def test_what_time_heals_is_tried_again_and_all_arrive(self, rig: Rig, fault: Fault, page: int) -> None:
        rig.console.fault(fault, match=self.list_route, skip=page, times=2)
        rig.cycle()
        assert not self.undelivered(rig)

    def test_a_stop_ends_the_wait_between_rounds_within_a_second(self, rig: Rig) -> None:
        with rig.running() as connector:
            until(lambda: connector.cycles == 1)
            began = time.monotonic()
        assert time.monotonic() - began < 1

    @pytest.mark.parametrize("fault", [Status(401), RateLimited(600), Status(503), RateLimited(14)], ids=repr)
    def test_a_stop_ends_the_wait_after_an_error_within_a_second(self, rig: Rig, fault: Fault) -> None:
        rig.backoff = rig.backoff.__class__()
        rig.patience = rig.patience.__class__()
        rig.console.fault(fault, match=self.list_route, times=None)
        with rig.running():
            until(lambda: rig.console.calls_to(self.list_route))
            time.sleep(0.2)
            began = time.monotonic()
        assert time.monotonic() - began < 1

    def test_a_round_that_reads_page_after_page_is_alive(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        """An alert connector was alive by its rounds that succeeded only, and restarted in the middle of a long one."""
        rig.page_size, clock, alive = 3, Clock(monkeypatch), []
        connector = rig.start()

        def take_long(request: Any) -> None:
            if request.endpoint == self.list_route:
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

    @pytest.mark.parametrize("fault", [None, Status(401), Hang(60)], ids=repr)
    def test_the_platforms_connection_test_is_answered_within_20_seconds(self, rig: Rig, fault: Fault | None) -> None:
        if fault:
            rig.console.fault(fault, match=self.list_route, times=None)
        process = rig.process("validate_module_configuration")
        rig.platform.module_secrets = {name: rig.settings[name] for name in self.lab_module.secrets}
        began = time.monotonic()
        with process:
            until(lambda: process.exit_code is not None, 25)
        assert time.monotonic() - began < 21
        assert process.exit_code == 0
        validation = rig.platform.validation or {}
        assert validation["results"]["success"] is (fault is None)
        assert ("error" in validation) is (fault is not None)
        assert "Traceback" not in process.log.read_text()

    @pytest.mark.parametrize(
        "fault", [Status(401), Status(403), Status(404), Html(), Status(503), Reset(), Empty()], ids=repr
    )
    def test_the_connection_test_says_what_to_do(self, rig: Rig, fault: Fault) -> None:
        rig.console.fault(fault, match=self.list_route, times=None)
        validator = self.lab_module.validator(self.lab_module.configured(rig.settings))
        assert not validator.validate()
        assert validator._error
        assert re.search(r"Check|Give|Create|again|empty body", validator._error), validator._error


def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait for it; AssertionError when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
