"""Any JSON object is either a device the SDK's model takes whole, or a record that is skipped and named."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import orjson
from harfanglab_assets.mapper import AGENT_TO_DEVICE
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from shared.errors import SkipRecord
from shared.mapping.conversions import to_string
from shared.mapping.table import Mapper
from shared.state.fingerprints import fingerprint, key_of
from tests.json_values import numbers
from tests.json_values import scalars as json_scalars
from tests.ocsf import assert_is_ocsf

MAPPER = Mapper(AGENT_TO_DEVICE)

moments = st.datetimes(timezones=st.just(UTC))
dates = moments.map(datetime.isoformat) | moments.map(lambda moment: moment.strftime("%Y/%m/%d %H:%M:%S"))
words = st.sampled_from(
    ["", " ", "None", "true", "0", "windows", "Linux", "server", "dc", "<REDACTED>", "Wi-Fi", "VPN"]
)
addresses = st.ip_addresses().map(str) | st.sampled_from(["fe80::1%eth0", "10.0.0.1/24", "255.255.255.0"])
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
agents = objects(
    id=ids,
    **dict.fromkeys(["hostname", "domainname", "description", "osproducttype", "version"], st.text()),
    **dict.fromkeys(["ostype", "producttype"], words),
    **dict.fromkeys(["firstseen", "lastseen", "boottime", "machine_boottime", "installdate"], dates),
    **dict.fromkeys(["ipaddress", "ipmask"], addresses | words),
    **dict.fromkeys(["disk_count", "encrypted_disk_count"], st.integers(-3, 12)),
    has_valid_password=st.booleans(),
    policy=objects(windows_self_protection_feature_firewall=st.booleans()),
    subnet=objects(id=ids, name=words),
)


def check(agent: Any) -> dict[str, Any] | None:
    """→ the event, when there is one; all that is promised of it holds."""
    try:
        event = MAPPER(agent)
    except SkipRecord as reason:
        assert reason.field in ("id", "record")
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
@example({"id": "1", "ostype": ["linux"], "producttype": {"a": 1}, "subnet": ["s"], "policy": ["p"]})
@example({"id": 2**64 - 1, "disk_count": 2**31 - 1, "encrypted_disk_count": 2**31 - 1, "firstseen": 0})
@example(
    {"id": 0, "subnet": {"id": {"id": 1}, "name": ["LAN"]}, "policy": {"windows_self_protection_feature_firewall": 2}}
)
def test_an_agent_with_any_type_in_any_field_is_mapped_or_skipped(agent: dict[str, Any]) -> None:
    event = check(agent)
    if event is not None:
        assert_is_ocsf(event)


@slow
@given(agents, ids)
def test_an_agent_with_an_id_is_never_skipped(agent: dict[str, Any], uid: Any) -> None:
    event = check({**agent, "id": f"a-{uid}"})
    assert event is not None
    assert event["device"]["uid"] == to_string(f"a-{uid}")


@slow
@given(agents)
def test_nothing_empty_or_infinite_is_sent(agent: dict[str, Any]) -> None:
    for leaf in leaves(check(agent) or {}):
        assert leaf is not None
        assert leaf != ""
        assert not isinstance(leaf, float) or math.isfinite(leaf)


@slow
@given(agents)
def test_mapping_an_agent_twice_gives_the_same_and_leaves_the_agent_as_it_is(agent: dict[str, Any]) -> None:
    before = orjson.dumps(agent)
    first, second = check(agent), check(agent)
    if first and second:
        assert fingerprint(first) == fingerprint(second)
    assert orjson.dumps(agent) == before
