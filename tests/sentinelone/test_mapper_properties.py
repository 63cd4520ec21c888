"""Any JSON object is either a device the SDK's model takes whole, or a record that is skipped and named."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sekoia_automation_models.ocsf.device import DeviceOCSFModel
from sentinelone_assets.connector import _updated_at
from sentinelone_assets.mapper import AGENT_TO_DEVICE

from shared.errors import SkipRecord
from shared.mapping.conversions import to_string
from shared.mapping.table import Mapper
from shared.state.fingerprints import fingerprint, key_of
from tests.json_values import numbers
from tests.json_values import scalars as json_scalars

MAPPER = Mapper(AGENT_TO_DEVICE)

dates = st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | st.just("1970-01-01T00:00:00Z")
words = st.sampled_from(
    ["", " ", "None", "unknown", "N/A", "true", "False", "0", "7", "windows", "WINDOWS_LEGACY", "macos", "Laptop"]
)
addresses = st.ip_addresses().map(str) | st.sampled_from(["fe80::1%eth0", "10.0.0.1/24", "00:11:22:aa:bb:cc", "eth0"])
scalars = json_scalars | words | dates | addresses
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the fields, each as it should be or as anything else."""
    return st.fixed_dictionaries({}, optional={name: right | anything for name, right in fields.items()})


ids = st.text(min_size=1) | numbers
interfaces = objects(
    name=st.sampled_from(["eth0", "Wi-Fi", "tun0", "Neptune"]), physical=addresses, inet=st.lists(addresses), id=ids
)
agents = objects(
    **dict.fromkeys(["uuid", "id", "accountId", "groupId", "externalId"], ids),
    **dict.fromkeys(["computerName", "accountName", "groupName", "siteName", "modelName", "domain"], st.text()),
    **dict.fromkeys(
        ["osName", "osRevision", "osUsername", "lastLoggedInUserName", "agentVersion", "groupIp"], st.text()
    ),
    **dict.fromkeys(["osType", "machineType"], words),
    **dict.fromkeys(["createdAt", "registeredAt", "lastActiveDate", "osStartTime", "updatedAt"], dates),
    **dict.fromkeys(["infected", "isUpToDate", "firewallEnabled"], st.booleans()),
    activeThreats=st.integers(-1, 5),
    externalIp=addresses,
    networkInterfaces=st.lists(interfaces | anything, max_size=4),
    locations=st.lists(objects(name=st.text()) | anything, max_size=2),
    licenseKey=st.just("LICENSE-KEY"),
)


def check(agent: Any) -> dict[str, Any] | None:
    """→ the event, when there is one; all that is promised of it holds."""
    try:
        event = MAPPER(agent)
    except SkipRecord as reason:
        assert reason.field in ("uuid or id", "record")
        return None
    model = DeviceOCSFModel.model_validate(event)
    assert model.model_dump(exclude_none=True, mode="json") == event
    assert orjson.loads(orjson.dumps(event)) == event
    assert 0 <= fingerprint(event) < 2**64
    assert 0 <= key_of(event["device"]["uid"]) < 2**60
    return event


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


slow = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)


@slow
@given(anything | st.dictionaries(st.text(), anything))
def test_any_json_is_mapped_or_skipped(record: Any) -> None:
    check(record)


@slow
@given(agents)
@example({"id": "1", "osType": ["linux"], "machineType": {"a": 1}, "networkInterfaces": {"name": "eth0"}})
@example({"id": 2**64 - 1, "activeThreats": "3", "infected": "true", "locations": [[]], "createdAt": 0})
@example({"uuid": "u", "networkInterfaces": [{"inet": [None, "x", "10.0.0.1"], "physical": 5, "name": ["eth0"]}]})
def test_an_agent_with_any_type_in_any_field_is_mapped_or_skipped(agent: dict[str, Any]) -> None:
    check(agent)


@slow
@given(agents, ids)
def test_an_agent_with_a_uuid_is_never_skipped(agent: dict[str, Any], uid: Any) -> None:
    uuid = f"u-{uid}"
    event = check({**agent, "uuid": uuid})
    assert event is not None
    assert event["device"]["uid"] == to_string(uuid)


@slow
@given(agents)
def test_nothing_empty_infinite_or_secret_is_sent(agent: dict[str, Any]) -> None:
    event = check(agent)
    for leaf in leaves(event or {}):
        assert leaf is not None
        assert leaf != ""
        assert "LICENSE-KEY" not in str(leaf)
        assert not isinstance(leaf, float) or math.isfinite(leaf)


@slow
@given(agents)
def test_mapping_an_agent_twice_gives_the_same_and_leaves_the_agent_as_it_is(agent: dict[str, Any]) -> None:
    before = orjson.dumps(agent)
    first, second = check(agent), check(agent)
    if first and second:
        assert fingerprint(first) == fingerprint(second)
    assert orjson.dumps(agent) == before


@slow
@given(agents)
def test_the_cursor_of_an_agent_is_a_time_or_missing(agent: dict[str, Any]) -> None:
    at = _updated_at(agent)
    assert at is None or at >= 0
