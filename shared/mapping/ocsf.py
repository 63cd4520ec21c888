"""What every device event has in common: OCSF class 5001, Device Inventory Info, and its captions with their ids.

Captions and ids are taken from the installed SDK's models: what those refuse cannot be sent, and a later release that
knows more (Laptop, Tablet) brings the better answer without a change here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaValidator, core_schema
from sekoia_automation_models.ocsf.device import (
    DeviceOCSFModel,
    DeviceTypeId,
    DeviceTypeStr,
    OSTypeId,
    OSTypeStr,
)
from sekoia_automation_models.ocsf.risk_level import RiskLevelId, RiskLevelStr

from shared.errors import SkipRecord
from shared.mapping.conversions import Record, boolean, to_string, unless_placeholder
from shared.mapping.table import Field, Source, const, first_time

# Whole words; the first in the text counts. A group is named as in the models' `OSTypeStr`, in lower case.
_SYSTEMS = re.compile(
    r"\b(?:(?P<windows_mobile>windows mobile)|(?P<windows>windows(?:server)?)|(?P<macos>mac ?os(?: ?x)?|os ?x)"
    r"|(?P<ipados>ipad ?os)|(?P<ios>ios|iphone os)|(?P<android>android)|(?P<solaris>solaris|sunos)|(?P<aix>aix)"
    r"|(?P<hpux>hp-?ux)|(?P<linux>linux|gnu|ubuntu|debian|red ?hat|rhel|centos|fedora|opensuse|suse|sles|sled|rocky"
    r"|almalinux|raspbian|raspberry pi os|gentoo|nixos|zorin|kali|manjaro))(?![a-z])"
)
_SERVER = re.compile(r"\b(?:windows)?server(?![a-z])")  # "WindowsServer2016Standard" is seen in one word
_MAX_NAME = 256  # characters of a system's name that are looked at


class Coded(NamedTuple):
    """A caption and its id."""

    caption: str
    id: int


DEVICE_INVENTORY = (
    Field("activity_id", const(2), doc="Collect"),
    Field("activity_name", const("Collect")),
    Field("category_name", const("Discovery")),
    Field("category_uid", const(5), doc="Discovery"),
    Field("class_name", const("Device Inventory Info")),
    Field("class_uid", const(5001), doc="Device Inventory Info"),
    Field("type_name", const("Device Inventory Info: Collect")),
    Field("type_uid", const(500102), doc="class_uid × 100 + activity_id"),
    Field("severity", const("Informational")),
    Field("severity_id", const(1), doc="Informational"),
)


@cache
def device_type(*captions: str) -> Coded:
    """The first of the captions that the installed models know: `device_type("Laptop", "Desktop")`."""
    known = next(caption for caption in captions if caption in {member.value for member in DeviceTypeStr})
    return Coded(known, DeviceTypeId[DeviceTypeStr(known).name].value)


@cache
def os_type(caption: str) -> Coded:
    """`os_type("windows")`: the models' lower-case caption and OCSF's id."""
    return Coded(caption, OSTypeId[OSTypeStr(caption).name].value)


def os_named(name: str | None) -> Coded | None:
    """The system that a text names as a word: `Ubuntu 22.04 LTS`, `Mac OS X`, `iPadOS 17.4`, `Windows 10 Pro` …"""
    return _os_named(name[:_MAX_NAME]) if name else None


@lru_cache(maxsize=1024)
def _os_named(name: str) -> Coded | None:
    found = _SYSTEMS.search(name.lower())
    return os_type(OSTypeStr[str(found.lastgroup).upper()].value) if found else None


def system_of(kind: Any, name: Any, other: str = "other") -> Coded:
    """The system by the vendor's word for it, in any case; missing → by the system's name, else unknown; no known one → other."""
    word = unless_placeholder(kind)
    return os_named(word or to_string(name)) or os_type(other if word else "unknown")


def server_or_desktop(name: str | None) -> Coded:
    """Server where the system's name has the word Server (`Windows Server 2019`, `WindowsServer2016Standard`), else Desktop."""
    is_server = name is not None and _SERVER.search(name[:_MAX_NAME].lower())
    return device_type("Server" if is_server else "Desktop")


@cache
def risk_level(caption: str) -> Coded:
    """`risk_level("Critical")`: OCSF's caption and id."""
    return Coded(caption, RiskLevelId[RiskLevelStr(caption).name].value)


def coded(path: str, source: Source, convert: Callable[[Any], Coded | None]) -> tuple[Field, Field]:
    """The two rows of a caption and its id: `device.type` and `device.type_id`."""
    return Field(path, source, convert, part=0), Field(f"{path}_id", source, convert, part=1)


def event_time(*names: str) -> Field:
    """The row of `time`: the first of these fields that tells a time, else now."""
    found = first_time(*names)

    def read(whole: Record) -> float:
        return found.read(whole) or time.time()

    source = Source(", ".join(names), names, read, lambda seconds: seconds, first_time=names[0])
    return Field("time", source, doc=f"{', else '.join(names)}, else now")


def product(
    name: str, version: str | Source, vendor: str | None = None, schema: str = "1.6.0", doc: str = ""
) -> list[Field]:
    """The rows of `metadata`: the product, with its version and what to say of that, and OCSF's version."""
    rows = [Field("metadata.version", const(schema), doc="OCSF version"), Field("metadata.product.name", const(name))]
    rows += [Field("metadata.product.vendor_name", const(vendor))] if vendor else []
    return [*rows, Field("metadata.product.version", version, doc=doc)]


def enrichment(name: str, value: str, **data: Any) -> dict[str, Any]:
    """One enrichment. `data` is always an object: OCSF requires it."""
    return {"name": name, "value": value, "data": data}


def hygiene(
    firewall: str | None, partitions: dict[str, str], user: str | None = None, qualified_name: str | None = None
) -> dict[str, Any]:
    """The enrichment on a device's hygiene: the status of its firewall and of each partition's encryption, names."""
    data: dict[str, Any] = {}
    if firewall:
        data["Firewall_status"] = firewall
    if partitions:
        data["Storage_encryption"] = {"partitions": partitions}
    if user:
        data["Users"] = [user]
    if qualified_name:
        data["Full_qualified_domain_name"] = qualified_name
    return enrichment("compliance", "hygiene", **data)


def enabled(value: bool) -> str:
    """The two words the models accept for a status."""
    return "Enabled" if value else "Disabled"


def status(value: Any) -> str | None:
    """The same of a boolean in a record; None when it is missing."""
    found = boolean(value)
    return None if found is None else enabled(found)


def validate(event: dict[str, Any]) -> None:
    """SkipRecord, naming the field, when the SDK's model refuses the event: the platform would refuse the batch."""
    if _CHECK.isinstance_python(event):
        return
    try:
        DeviceOCSFModel.model_validate(event)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise SkipRecord(".".join(str(part) for part in found["loc"]), found["msg"]) from None


def quick_check(model: type[BaseModel]) -> SchemaValidator:
    """Takes the dicts that the model takes, and makes no objects of them, which are half of the time.

    Only plain models are taken apart; one with functions of its own stays what it is.
    """
    return SchemaValidator(_without_objects(model.__pydantic_core_schema__))


def _without_objects(schema: Any) -> Any:
    if isinstance(schema, list | tuple):
        return type(schema)(map(_without_objects, schema))
    if not isinstance(schema, dict):
        return schema
    if not _is_plain_model(schema):
        return {name: _without_objects(value) for name, value in schema.items()}
    fields = {name: _key(field) for name, field in schema["schema"]["fields"].items()}
    return core_schema.typed_dict_schema(fields, config=schema.get("config"), ref=schema.get("ref"))


def _is_plain_model(schema: Any) -> bool:
    if schema.get("type") != "model" or schema["schema"]["type"] != "model-fields" or schema["custom_init"]:
        return False
    known = {"type", "cls", "schema", "config", "custom_init", "root_model", "ref", "metadata"}
    fields = {"type", "fields", "model_name", "computed_fields"}
    return set(schema) <= known and set(schema["schema"]) <= fields


def _key(field: Any) -> core_schema.TypedDictField:
    """A field of a model → a key of a dict; one with a default may be absent."""
    schema, optional = field["schema"], field["schema"]["type"] == "default"
    return core_schema.typed_dict_field(
        _without_objects(schema["schema"] if optional else schema),
        required=not optional,
        validation_alias=field.get("validation_alias"),
    )


_CHECK = quick_check(DeviceOCSFModel)
