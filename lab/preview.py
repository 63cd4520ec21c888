"""A look at real devices, as they would be sent: nothing is written and nothing is sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from threading import Event
from typing import Any

from rich.console import Console
from rich.table import Table
from sekoia_automation.module import Module

from lab.modules import LabModule
from shared import ocsf
from shared.errors import SkipRecord
from shared.http import Patience

_PATIENCE = Patience(connect=5.0, read=30.0, attempts=2)


@dataclass
class Devices:
    """Events, and why records were left out."""

    events: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_devices(module: LabModule, configured: Module, limit: int) -> Devices:
    """The first `limit` devices through the connector's own client and table. Raises a ConnectorError."""
    page_size = min(limit, 100)
    client = module.connector.connect(configured.configuration, stop=Event(), patience=_PATIENCE, page_size=page_size)
    mapper, found = module.connector.mapper(), Devices()
    scopes = [scope for scope in module.connector.scopes(client) if not scope.closed]
    for page in chain.from_iterable(module.connector.walk(client, None, scope).pages for scope in scopes):
        for record in page.records:
            if len(found.events) + len(found.skipped) >= limit:
                return found
            try:
                event = mapper(record)
                ocsf.validate(event)
                found.events.append(event)
            except SkipRecord as reason:
                found.skipped.append(str(reason))
    return found


def show_devices(devices: Devices, console: Console, *, table: bool) -> None:
    """For people."""
    if table and devices.events:
        shown = Table(title="As it would be sent", title_justify="left")
        for name in ("hostname", "type", "system", "address", "last seen", "compliant"):
            shown.add_column(name, overflow="fold")
        for event in devices.events:
            shown.add_row(*_row(event["device"]))
        console.print(shown)
    for reason in devices.skipped:
        console.print(f"skipped: {reason}", soft_wrap=True, markup=False)
    console.print(f"{len(devices.events)} devices read, {len(devices.skipped)} skipped; nothing was sent or stored.")


def _row(device: dict[str, Any]) -> tuple[str, ...]:
    system = device.get("os", {})
    seen = device.get("last_seen_time")
    when = f"{datetime.fromtimestamp(seen, UTC):%Y-%m-%d %H:%M}" if seen else ""
    compliant = {True: "yes", False: "no"}.get(device.get("is_compliant"), "")  # type: ignore[arg-type] # None is no key
    texts = device["hostname"], device["type"], system.get("name") or system.get("type", ""), device.get("ip", "")
    return (*texts, when, compliant)
