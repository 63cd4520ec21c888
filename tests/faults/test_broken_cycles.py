"""The matrix catches what it is there for: deliberately broken copies of the cycle, and the SDK's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sekoia_automation.asset_connector import AssetConnector

from lab.platform import LocalPlatform
from shared import cycle
from shared.delivery import AssetDelivery, Batch
from shared.errors import ConnectorError
from shared.polling import DeviceConnector
from tests.faults.matrix import Case, run
from tests.rig import Rig, signal_handlers_kept
from tests.sentinelone.test_conformance import TestSentinelOne as _SentinelOne

CASES = [
    Case("push", "500", True),
    Case("push", "empty 200", True),
    Case("middle page", "503", True),
    Case("state write", "disk full", True),
]


def cursor_moved_before_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    send = cycle.Round._send

    def broken(self: Any) -> None:
        if (at := self._cursor()) is not None:
            self._move_cursor(at)
        send(self)

    monkeypatch.setattr(cycle.Round, "_send", broken)


def fingerprint_stored_before_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    send = cycle.Round._send

    def broken(self: Any) -> None:
        self._fingerprints.deliver(self._batch.entries)
        send(self)

    monkeypatch.setattr(cycle.Round, "_send", broken)


def refused_batch_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    push = AssetDelivery._accepted

    def broken(self: Any, batch: Batch) -> str | None:
        try:
            return push(self, batch)
        except ConnectorError:
            return None

    monkeypatch.setattr(AssetDelivery, "_accepted", broken)


def failure_of_a_page_taken_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    read_ahead = cycle.read_ahead

    def broken(pages: Any) -> Iterator[Any]:
        reading = read_ahead(pages)
        try:
            yield from reading
        except ConnectorError:
            return
        finally:
            reading.close()

    monkeypatch.setattr(cycle, "read_ahead", broken)


def the_sdks_own_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stock round over the same client and table; the checkpoint is the time of the walk, as connectors do it."""

    def assets(self: Any) -> Iterator[Any]:
        from sekoia_automation.asset_connector.models.ocsf.device import DeviceOCSFModel

        self._context = self._context_file.read()
        mapper, client = self.mapper(), self._connected()
        for page in self.walk(client, None, self.scopes(client)[0]).pages:
            for record in page.records:
                self._seen = self.walk(client, None, self.scopes(client)[0]).cursor_of(record)
                yield DeviceOCSFModel.model_validate(mapper(record))

    def checkpoint(self: Any) -> None:
        self._context[self.cursor_key] = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self._seen + 1))
        self._context_file.write(self._context)

    monkeypatch.setattr(DeviceConnector, "get_assets", assets)
    monkeypatch.setattr(DeviceConnector, "update_checkpoint", checkpoint)
    monkeypatch.setattr(DeviceConnector, "asset_fetch_cycle", AssetConnector.asset_fetch_cycle)
    monkeypatch.setattr(AssetConnector, "_http_header", {"Authorization": "Bearer local-api-key"})


BROKEN: list[Callable[[pytest.MonkeyPatch], None]] = [
    cursor_moved_before_the_push,
    fingerprint_stored_before_delivery,
    refused_batch_ignored,
    failure_of_a_page_taken_for_the_end,
    the_sdks_own_loop,
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_cycle_is_caught(
    broken: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    caught = []
    for number, case in enumerate(CASES):
        with signal_handlers_kept(), LocalPlatform() as platform, _SentinelOne.lab_module.simulated(35) as console:
            rig = Rig(_SentinelOne.lab_module, console, platform, tmp_path / str(number), monkeypatch)
            try:
                run(case, _SentinelOne(), rig, monkeypatch, settle=1.1)
            except AssertionError as promise:
                caught.append((case, promise))
    assert caught


def test_the_cycle_as_it_is_passes_the_same_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, case in enumerate(CASES):
        with signal_handlers_kept(), LocalPlatform() as platform, _SentinelOne.lab_module.simulated(35) as console:
            rig = Rig(_SentinelOne.lab_module, console, platform, tmp_path / str(number), monkeypatch)
            run(case, _SentinelOne(), rig, monkeypatch, settle=1.1)
