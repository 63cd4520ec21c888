"""Whatever a record holds: nothing is sent that means that a value is missing, by any of the modules."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from lab.kinds import DEVICES
from lab.modules import MODULES, LabModule
from shared.errors import SkipRecord
from shared.mapping.table import paths_of
from tests.json_values import scalars
from tests.ocsf import assert_is_ocsf

MACS = {"00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF", "02:00:00:00:00:00", "20:41:53:59:4E:FF"}
PLACEHOLDERS = {
    *("n/a", "unknown", "none", "null", "-", "not specified", "to be filled by o.e.m.", "o.e.m."),
    *("system product name", "system manufacturer", "default string"),
}
DESCRIBED = {"device.domain", "device.model", "device.vendor_name", "device.os.name", "device.region", "device.desc"}
TIMES = {"time", *(f"device.{name}_time" for name in ("boot", "created", "first_seen", "last_seen"))}

odd = st.sampled_from(
    [
        *(f"{before}{word}{after}" for word in sorted(PLACEHOLDERS) for before, after in (("", ""), (" ", "\0\0"))),
        *(word.upper() for word in sorted(PLACEHOLDERS)),
        *(
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:203.0.113.9",
        ),
        *("192.0.2.7, 127.0.0.1;0.0.0.0", "192.0.2.7", "2001:db8::7", "fe80::1%eth0", "169.254.7.7", "10.0.0.0/8"),
        *(mac.lower() for mac in sorted(MACS)),
        *("020000000000", "2041.5359.4eff", "00:00:5E:FF:FE:00:53:01", "02:42:ac:11:00:01"),
        *("1970-01-01T00:00:00Z", "1970-01-01 01:00:00+01:00", "2026-03-01T08:00:00Z", "", "\0", " \t\x1f", "PC-7\0"),
        *("Windows Server 2019", "server", "windows", "wlan0", "true", "encrypted"),
    ]
)


def records(paths: set[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Records with values on the paths that a table reads, as they should be nested or as anything else."""
    tree: dict[str, Any] = {}
    for path in paths:
        branch = tree
        for step in re.sub(r"\[\d*\]", ".[]", path).split("."):
            branch = branch.setdefault(step, {})
    return _value(tree)


def _value(tree: dict[str, Any]) -> st.SearchStrategy[Any]:
    leaf = (
        odd | scalars | st.lists(odd, max_size=3) | st.lists(st.fixed_dictionaries({}, optional=_FURTHER), max_size=2)
    )
    if not tree:
        return leaf
    if "[]" in tree:
        return st.lists(_value(tree["[]"]), max_size=3) | leaf
    return st.fixed_dictionaries({}, optional={name: _value(below) | odd for name, below in tree.items()})


_FURTHER: dict[Any, st.SearchStrategy[Any]] = {
    name: odd | st.lists(odd, max_size=3)
    for name in ("id", "name", "physical", "inet", "inet6", "macAddress", "caption", "volumeId", "status")
}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    else:
        yield path, value


def assert_nothing_missing(path: str, value: Any) -> None:
    assert value is not None, path
    if path in TIMES:
        assert value > 0, path
    if not isinstance(value, str):
        return
    assert value == value.strip("\0 \t\x1f") != "", path
    if path in DESCRIBED:
        assert value.lower() not in PLACEHOLDERS, path
    if path.endswith(".mac"):
        assert re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", value), path
        assert value not in MACS, path
    if path.endswith(".ip"):
        address = ipaddress.ip_address(value)
        assert str(address) == value != "255.255.255.255", path
        assert not address.is_unspecified, path
        assert not address.is_loopback, path
        assert getattr(address, "ipv4_mapped", None) is None, path


@pytest.mark.parametrize(
    "module", [one for one in MODULES.values() if one.kind is DEVICES], ids=lambda module: module.name
)
def test_nothing_that_means_missing_is_sent(module: LabModule) -> None:
    mapper = module.connector.mapper()
    sent = 0

    @settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=400)
    @given(records(paths_of(module.connector.fields)), st.text("0123456789", min_size=1))
    def run(record: dict[str, Any], number: str) -> None:
        nonlocal sent
        try:
            event = mapper({**record, "id": f"id-{number}", "uuid": f"id-{number}"})
        except SkipRecord:
            return
        sent += 1
        for path, value in leaves(event):
            assert_nothing_missing(path, value)
        assert DeviceOCSFModel.model_validate(event).model_dump(exclude_none=True, mode="json") == event
        assert_is_ocsf(event)

    run()
    assert sent >= 400, "hardly any record became an event"
