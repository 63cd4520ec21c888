"""What every device event has in common, and what the SDK's models refuse."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError, field_validator
from pydantic import Field as ModelField
from sekoia_automation_models.ocsf.device import (
    Device,
    DeviceOCSFModel,
    DeviceTypeStr,
    OSTypeStr,
)
from sekoia_automation_models.ocsf.risk_level import RiskLevelStr

from shared.errors import SkipRecord
from shared.mapping.ocsf import (
    DEVICE_INVENTORY,
    Coded,
    coded,
    device_type,
    enabled,
    enrichment,
    event_time,
    hygiene,
    os_named,
    os_type,
    product,
    quick_check,
    risk_level,
    server_or_desktop,
    system_of,
    validate,
)
from shared.mapping.table import Field, Mapper, const, document

EVENT = Mapper(
    (
        *DEVICE_INVENTORY,
        Field("time", const(1704608768.668)),
        Field("metadata.version", const("1.6.0")),
        Field("metadata.product.name", const("Product")),
        Field("metadata.product.version", const("1")),
        Field("device.uid", const("u1")),
        Field("device.hostname", const("pc")),
        Field("device.type", const("Desktop")),
        Field("device.type_id", const(2)),
    )
)


def event(**device: Any) -> dict[str, Any]:
    made = EVENT({})
    made["device"].update(device)
    return made


def test_the_header_is_that_of_a_device_inventory_collected() -> None:
    made = event()
    validate(made)
    assert made["type_uid"] == made["class_uid"] * 100 + made["activity_id"]
    assert DeviceOCSFModel.model_validate(made).model_dump(exclude_none=True) == made


def test_the_first_caption_the_models_know_is_taken() -> None:
    assert device_type("Desktop") == Coded("Desktop", 2)
    assert device_type("Hologram", "Server", "Desktop") == Coded("Server", 1)
    known = "Laptop" in {member.value for member in DeviceTypeStr}
    assert device_type("Laptop", "Desktop").caption == ("Laptop" if known else "Desktop")


@pytest.mark.parametrize("member", DeviceTypeStr)
def test_every_device_type_the_models_know_has_its_id(member: DeviceTypeStr) -> None:
    coded = device_type(member.value)
    validate(event(type=coded.caption, type_id=coded.id))


@pytest.mark.parametrize("member", OSTypeStr)
def test_every_system_the_models_know_has_its_id(member: OSTypeStr) -> None:
    coded = os_type(member.value)
    validate(event(os={"type": coded.caption, "type_id": coded.id}))


@pytest.mark.parametrize("member", RiskLevelStr)
def test_every_risk_the_models_know_has_its_id(member: RiskLevelStr) -> None:
    coded = risk_level(member.value)
    validate(event(risk_level=coded.caption, risk_level_id=coded.id))


def test_caption_and_id_of_one_conversion_go_to_two_rows() -> None:
    def kind(value: str) -> Coded | None:
        """Which kind."""
        return Coded(value, 7) if value else None

    mapper = Mapper((Field("device.uid", "id"), *coded("device.type", "kind", kind), Field("device.name", "name")))
    assert mapper({"id": "1", "kind": "x", "name": "n"}) == {
        "device": {"uid": "1", "type": "x", "type_id": 7, "name": "n"}
    }
    assert mapper({"id": "1", "kind": "", "name": "n"}) == {"device": {"uid": "1", "name": "n"}}
    for alone in mapper.fields[1:3]:  # each says the same without the other, or in another order
        apart = Mapper((mapper.fields[0], alone, mapper.fields[3]))
        told = {"type": "x"} if alone.part == 0 else {"type_id": 7}
        assert apart({"id": "1", "kind": "x", "name": "n"}) == {"device": {"uid": "1", "name": "n"} | told}
    turned = Mapper(mapper.fields[::-1])
    assert turned({"id": "1", "kind": "x", "name": "n"}) == mapper({"id": "1", "kind": "x", "name": "n"})
    assert [row.path for row in mapper.fields[1:3]] == ["device.type", "device.type_id"]
    table = document(mapper.fields)
    assert table.count("Which kind.") == 2


def test_the_data_of_an_enrichment_is_always_an_object() -> None:
    """OCSF requires it, and a null would be dropped on the way."""
    assert enrichment("Update Status", "Up to Date") == {"name": "Update Status", "value": "Up to Date", "data": {}}
    assert enrichment("Users", "a", Users=["a"])["data"] == {"Users": ["a"]}


def test_a_status_is_one_of_the_two_words_the_models_take() -> None:
    made = event()
    made["enrichments"] = [enrichment("Firewall", enabled(on), Firewall_status=enabled(on)) for on in (True, False)]
    validate(made)
    assert [item["value"] for item in made["enrichments"]] == ["Enabled", "Disabled"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"type": "IoT"}, "device.type"),
        ({"hostname": None}, "device.hostname"),
        ({"boot_time": "x"}, "device.boot_time"),
    ],
)
def test_what_the_model_refuses_is_skipped_and_named_without_its_content(wrong: dict[str, Any], field: str) -> None:
    """The platform refuses the whole batch for one such event."""
    with pytest.raises(SkipRecord) as caught:
        validate(event(desc="confidential", **wrong))
    assert caught.value.field == field
    assert "confidential" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_time_of_an_event_is_the_first_that_is_told_else_now() -> None:
    mapper = Mapper([event_time("seen", "made")])
    assert mapper({"seen": "2026-01-01T00:00:00Z", "made": "2025-01-01T00:00:00Z"}) == {"time": 1767225600.0}
    assert mapper({"seen": "never", "made": "2025-01-01T00:00:00Z"}) == {"time": 1735689600.0}
    began = time.time()
    assert began <= mapper({})["time"] <= time.time()


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("Microsoft Windows 11 Pro", "windows"),
        ("Windows10", "windows"),
        ("Ubuntu 22.04.4 LTS", "linux"),
        ("SLES15", "linux"),
        ("RED HAT Enterprise Linux 8.9", "linux"),
        ("Mac OS X 10.11", "macos"),
        ("macOS14", "macos"),
        ("OS X", "macos"),
        ("iOS 17.4", "ios"),
        ("iPadOS 17", "ipados"),
        ("Android 14", "android"),
        ("WindowsServer2016Standard", "windows"),
        ("Windows Mobile 6.5", "windows mobile"),
        ("Zorin OS 17", "linux"),
        ("Oracle Solaris 11.4", "solaris"),
        ("SunOS 5.11", "solaris"),
        ("AIX 7.3", "aix"),
        ("HP-UX B.11.31", "hp-ux"),
        ("FreeBSD 14", None),
        ("Aixelsyd", None),
        ("x" * 300 + " Windows", None),  # only the beginning is looked at
        ("Kiosk 9", None),
        ("MacroSoft", None),
        ("", None),
        (None, None),
    ],
)
def test_a_system_is_named_by_a_word_of_its_name(name: str | None, caption: str | None) -> None:
    """Words, not letters: "Kiosk" holds "ios"."""
    found = os_named(name)
    assert (found and found.caption) == caption


@pytest.mark.parametrize(
    ("kind", "name", "caption"),
    [
        ("Windows", "Ubuntu 22.04", "windows"),
        ("macos", None, "macos"),
        ("haiku", "Windows 10", "other"),
        (None, "Windows 10 Pro", "windows"),
        ("unknown", "Ubuntu 22.04", "linux"),
        ("N/A", "Kiosk 9", "unknown"),
        ("", "", "unknown"),
        (["linux"], 7, "unknown"),
    ],
)
def test_a_missing_system_is_known_by_its_name(kind: Any, name: Any, caption: str) -> None:
    assert system_of(kind, name).caption == caption
    assert system_of("haiku", name, other="unknown").caption == "unknown"


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        ("Microsoft Windows Server 2019 Standard", "Server"),
        ("WindowsServer2016Standard", "Server"),
        ("Red Hat Enterprise Linux Server 7.9", "Server"),
        ("Windows 10 Pro", "Desktop"),
        ("Windows 11 Enterprise multi-session", "Desktop"),
        ("Serverless Linux", "Desktop"),
        ("Observer 3", "Desktop"),
        (None, "Desktop"),
    ],
)
def test_a_server_is_known_by_the_word_in_its_systems_name(name: str | None, caption: str) -> None:
    assert server_or_desktop(name) == device_type(caption)


def test_a_hygiene_enrichment_has_what_is_present_and_nothing_else() -> None:
    assert hygiene(None, {}) == {"name": "compliance", "value": "hygiene", "data": {}}
    full = hygiene("Enabled", {"C": "Disabled"}, "CORP\\ann", "pc.corp.example.com")
    assert full["data"] == {
        "Firewall_status": "Enabled",
        "Storage_encryption": {"partitions": {"C": "Disabled"}},
        "Users": ["CORP\\ann"],
        "Full_qualified_domain_name": "pc.corp.example.com",
    }
    made = event()
    made["enrichments"] = [full]
    validate(made)
    assert DeviceOCSFModel.model_validate(made).model_dump(exclude_none=True)["enrichments"] == [full]


def test_the_rows_of_a_product_are_those_of_its_metadata() -> None:
    mapper = Mapper(product("Product", "agent", vendor="Maker", doc="Version"))
    assert mapper({"agent": "7"}) == {
        "metadata": {"version": "1.6.0", "product": {"name": "Product", "vendor_name": "Maker", "version": "7"}}
    }
    assert "vendor_name" not in Mapper(product("Product", const("N/A"), schema="1.5.0"))({})["metadata"]["product"]


BROKEN: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([]), st.just({}), st.just([None])
)
PLACES = (
    *((name,) for name in DeviceOCSFModel.model_fields),
    *(("device", name) for name in Device.model_fields),
    ("metadata", "product"),
    ("metadata", "product", "name"),
    ("device", "os", "type_id"),
    ("device", "network_interfaces", 0, "type"),
    ("enrichments", 0, "data", "Users"),
    ("device", "beyond the model"),
)


@given(st.sampled_from(PLACES), BROKEN | st.just("absent"))
def test_the_quick_check_says_what_the_model_says(place: tuple[Any, ...], value: Any) -> None:
    made = event(
        os={"name": "Windows", "type": "windows", "type_id": 100},
        network_interfaces=[{"name": "eth0", "type": "Wired", "type_id": 1}],
    )
    made["enrichments"] = [enrichment("Users", "a", Users=["a"])]
    target: Any = made
    for step in place[:-1]:
        target = target[step]
    if value == "absent":
        target.pop(place[-1], None)
    else:
        target[place[-1]] = value
    try:
        DeviceOCSFModel.model_validate(made)
    except ValidationError:
        with pytest.raises(SkipRecord):
            validate(made)
    else:
        validate(made)


def test_a_model_with_functions_of_its_own_is_asked_itself() -> None:
    class Odd(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def is_odd(cls, value: int) -> int:
            assert value % 2
            return value

        def model_post_init(self, context: Any) -> None:
            if self.number == 3:
                raise ValueError("not three")

    class Plain(BaseModel):
        odd: Odd | None = None
        name: str = ModelField(alias="Name")

    check = quick_check(Plain)
    assert check.isinstance_python({"odd": {"number": 5}, "Name": "a"})
    assert check.isinstance_python({"Name": "a"})
    assert not check.isinstance_python({"odd": {"number": 4}, "Name": "a"})
    assert not check.isinstance_python({"odd": {"number": 3}, "Name": "a"})
    assert not check.isinstance_python({"odd": None, "name": "a"})
