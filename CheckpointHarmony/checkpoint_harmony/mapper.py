"""Harmony Mobile alert → ECS: a table and its conversions; and the raw alert as the platform's intake accepts it.

Sources: the integration's specification (rows, samples) and alerts seen (types and odd values).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.alerts.intake import to_json
from shared.mapping.conversions import Record, to_string
from shared.mapping.table import Field, const, first_time, from_fields
from shared.times import epoch

DATES = ("event_timestamp", "backend_last_updated")


def verbatim(value: Any) -> str | None:
    """The string as it is; a number as its digits; None when empty or neither."""
    if isinstance(value, str):
        return value if value.strip() else None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def address(value: Any) -> str | None:
    """An e-mail address; None for another string ("Blocked")."""
    email = to_string(value)
    return email if email and "@" in email else None


def moment(seconds: float) -> str:
    """ISO with a Z; a fraction of a second has six digits."""
    return _iso(seconds).replace("+00:00", "Z")


def as_given(alert: Record) -> dict[str, Any]:
    """The alert unchanged, except for its two dates: ISO (UTC) or null, as the intake expects."""
    seconds = {name: epoch(alert.get(name)) for name in DATES}
    return {**alert, **{name: None if at is None else _iso(at) for name, at in seconds.items()}}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


ALERT_TO_ECS = (
    Field(
        "message", from_fields("the whole alert"), to_json, doc="The alert as compact JSON, in its own order of keys"
    ),
    Field("event.kind", const("alert")),
    Field("event.category", const("network")),
    Field("event.type", const(["info"])),
    Field("event.reason", "details", verbatim, doc="What happened, such as the domain that was visited"),
    Field("@timestamp", first_time(*DATES), moment, doc="Of the event, else of its last update; UTC"),
    Field("checkpoint.harmony.attack_vector", "attack_vector", verbatim, doc="Attack vector"),
    Field("checkpoint.harmony.device_name", "name", verbatim, doc="Name of the device"),
    Field("checkpoint.harmony.mdm_uuid", "mdm_uuid", verbatim, doc="Identifier in the device management"),
    Field("checkpoint.harmony.number", "number", verbatim, doc="Phone number, in any form"),
    Field("checkpoint.harmony.threat_factors", "threat_factors", verbatim, doc="Threat factors, in one string"),
    Field("device.id", "device_id", verbatim, doc="Identifier of the device, as a string"),
    Field("device.model.name", "device_model", verbatim, doc="Model of the device"),
    Field("host.os.type", "device_model", verbatim, doc="Model of the device, as the published page has it"),
    Field("log.level", "severity", verbatim, doc="Severity, in the vendor's words"),
    Field("user.email", "email", address),
)
