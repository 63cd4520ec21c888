"""A fleet that lives on, and what the triggers tell of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.commands.changing import log_of_changes, run_triggers
from lab.modules import LabModule, device_modules
from lab.platform.local import LocalPlatform
from lab.report.page import write_report
from lab.report.skips import gone_in
from lab.report.summary import Outcome

ROUND = {"read": 0, "sent": 0, "unchanged": 0, "skipped": 0, "batches": 0, "seconds": 0.0}


@pytest.mark.parametrize("name", ["Sophos"])
def test_changes_of_a_fleet_start_playbooks_and_are_in_the_report(name: str, tmp_path: Path) -> None:
    [module] = device_modules([name])
    with LocalPlatform() as platform, module.simulated(20) as console:
        runs = run_triggers([(module, console)], 20, platform, tmp_path)[name]
        known = {console.record(identity)["id"] for identity in console.ids}
    kinds = Counter(run.event["change"]["kind"] for run in runs)
    assert kinds["new"] == 6
    assert (kinds["gone"], kinds["silent"]) == (2, 2)
    assert kinds["changed"]
    assert kinds["back"] >= 2
    assert {run.event["device"]["uid"] for run in runs if run.event["change"]["kind"] != "gone"} <= known
    assert "device.is_compliant" in {field for run in runs for field in run.event["change"]["fields"]}
    gone = gone_in(log_of_changes(tmp_path, module).read_text(encoding="utf-8"))
    names = {run.event["device"]["hostname"] for run in runs if run.event["change"]["kind"] == "gone"}
    assert {one.hostname for one in gone} == names
    write_report([Outcome(name, ROUND, [], gone=gone, playbook_runs=runs)], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Playbooks" in page
    assert "gone since" in page
    assert gone[0].last_seen in page
    assert runs[0].name in page


@pytest.mark.parametrize("module", device_modules(), ids=lambda module: module.name)
def test_each_incident_changes_the_event_of_a_device(module: LabModule) -> None:
    mapper = module.connector.mapper()
    with module.simulated(30) as console:
        records: list[dict[str, Any]] = [console.record(identity) for identity in console.ids]
    assert module.incidents
    for incident, fields in module.incidents.items():
        assert any(changed_fields(mapper(record), mapper({**record, **fields})) for record in records), incident


def changed_fields(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The fields of the device that differ, but for its last activity."""
    device, then = after["device"], before["device"]
    return {name for name in device.keys() | then.keys() if device.get(name) != then.get(name)} - {"last_seen_time"}
