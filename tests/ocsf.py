"""The OCSF check: an event as sent, against OCSF's own schema.

Two things are converted here and nowhere else: the platform expects epoch seconds where OCSF's type is milliseconds,
and `os.name`, which OCSF requires, may be absent if the vendor does not report it.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

_TIMES = ("boot_time", "created_time", "first_seen_time", "last_seen_time")


@cache
def _validator(version: str) -> Draft202012Validator:
    from jsonschema import Draft202012Validator  # here, as its import takes a second
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

    return Draft202012Validator(OcsfJsonSchemaEmbedded(get_ocsf_schema(version)).get_class_schema("inventory_info"))


def assert_is_ocsf(event: dict[str, Any]) -> None:
    """Raises AssertionError with every deviation."""
    converted = copy.deepcopy(event)
    converted["time"] = int(converted["time"] * 1000)
    device = converted["device"]
    for name in _TIMES:
        if name in device:
            device[name] = int(device[name] * 1000)
    device.get("os", {}).setdefault("name", "missing")
    errors = [
        f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
        for error in _validator(event["metadata"]["version"]).iter_errors(converted)
    ]
    assert not errors, errors
    # What the schema cannot say: the captions, and how the type is composed.
    assert event["activity_name"] == "Collect"
    assert event["category_name"] == "Discovery"
    assert event["class_name"] == "Device Inventory Info"
    assert event["type_name"] == f"{event['class_name']}: {event['activity_name']}"
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
