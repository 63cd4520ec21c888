"""The differences between modules of devices and modules of alerts; the lab treats them alike in everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from lab.paths import value_at
from shared import times

if TYPE_CHECKING:
    from lab.platform.local import LocalPlatform

Event = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """`counts` are the tables of a summary: title → the value by which an event is counted."""

    noun: str
    columns: tuple[str, ...]
    row: Callable[[Event], tuple[str, ...]]
    counts: Mapping[str, Callable[[Event], str]]
    target: str  # of the rows of the mapping table
    about: str  # the introduction of the page of fields
    check: Callable[[Event], None]  # SkipRecord where the platform would refuse the event
    arrived: Callable[[LocalPlatform, str], Iterable[Event]]  # events from the connector with that uuid
    reach: Callable[[LocalPlatform, Any], dict[str, Any]]  # the platform's address and keys, as arguments


def device_text(event: Event, *path: str) -> str:
    """The value of the event's device at this path, "" where it is missing."""
    return str(value_at(event["device"], ".".join(path)) or "")


def compliance(event: Event) -> str:
    """yes, no, or "" where it is missing."""
    return _COMPLIANT[event["device"].get("is_compliant")]


def _check_device(event: Event) -> None:
    from shared.mapping import ocsf  # the SDK's models: imported only to check an event

    ocsf.validate(event)


def _device_row(event: Event) -> tuple[str, ...]:
    device = event["device"]
    system, seen = device.get("os", {}), device.get("last_seen_time")
    when = f"{datetime.fromtimestamp(seen, UTC):%Y-%m-%d %H:%M}" if seen else ""
    name = system.get("name") or system.get("type", "")
    return device["hostname"], device["type"], name, device.get("ip", ""), when, compliance(event)


def _alert(event: Event, raw: str, ecs: str) -> str:
    """A field of an alert as it was given, or of the normalised event; `*.*.` is the vendor's own part of ECS."""
    found = value_at(event, ecs if "message" in event else raw)
    if "message" in event and ecs.startswith("*.*."):
        products = [product for vendor in event.values() if isinstance(vendor, dict) for product in vendor.values()]
        found = next(filter(None, (value_at(product, ecs[4:]) for product in products)), None)
    return "" if found is None else str(found)


def _alert_time(event: Event) -> str:
    return _alert(event, "event_timestamp", "@timestamp") or _alert(event, "backend_last_updated", "@timestamp")


def alert_moment(event: Event) -> float | None:
    """The time of the alert, else of its last update, in epoch seconds."""
    return times.epoch(_alert_time(event))


def _alert_row(event: Event) -> tuple[str, ...]:
    return (
        _alert_time(event)[:16].replace("T", " "),
        _alert(event, "severity", "log.level"),
        _alert(event, "attack_vector", "*.*.attack_vector"),
        _alert(event, "name", "*.*.device_name"),
        _alert(event, "details", "event.reason"),
    )


_COMPLIANT: dict[Any, str] = {True: "yes", False: "no", None: ""}
MISSING = "missing"

DEVICES = Kind(
    noun="device",
    columns=("hostname", "type", "system", "address", "last seen (UTC)", "compliant"),
    row=_device_row,
    counts={
        "By operating system": lambda event: device_text(event, "os", "type") or MISSING,
        "By type": lambda event: device_text(event, "type") or MISSING,
    },
    target="OCSF path",
    about="Each row is a field of an OCSF Device Inventory Info event (class 5001). A field whose source is missing is "
    "absent; a device without a required one is skipped and logged. Times are epoch seconds (UTC).",
    check=_check_device,
    arrived=lambda platform, uuid: platform.devices_of(uuid).values(),
    reach=lambda platform, placeholder: {"sekoia_base_url": platform.url, "sekoia_api_key": placeholder},
)
ALERTS = Kind(
    noun="alert",
    columns=("time (UTC)", "severity", "attack vector", "device", "details"),
    row=_alert_row,
    counts={
        "Alerts by severity": lambda event: _alert_row(event)[1] or MISSING,
        "Alerts by attack vector": lambda event: _alert_row(event)[2] or MISSING,
    },
    target="ECS field",
    about="Each row is a field of the ECS event that `event_format: ecs` sends. A field whose source is missing, or an "
    "empty string, is absent. With `event_format: raw` (the default) the alert itself is sent, both dates ISO or null.",
    check=lambda _event: None,
    arrived=lambda platform, _uuid: [orjson.loads(alert) for alert in platform.alerts],
    reach=lambda platform, _placeholder: {
        "intake_key": platform.intake_key,
        "intake_server": f"{platform.url}/intake",
    },
)
KINDS = (DEVICES, ALERTS)
