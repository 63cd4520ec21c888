"""A look at real devices, as they would be sent: nothing is written and nothing is sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from threading import Event
from typing import Any

from rich.console import Console
from rich.table import Table
from sekoia_automation.module import Module

from lab.modules import LabModule
from shared import ocsf
from shared.errors import ConnectorError, SkipRecord
from shared.http import Patience
from shared.mapping import Mapper

_PATIENCE = Patience(connect=5.0, read=30.0, attempts=2)


@dataclass
class Devices:
    """Events, why records were left out, and which parts of what the credential sees could not be read, and why."""

    events: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def read_devices(module: LabModule, configured: Module, limit: int) -> Devices:
    """The first `limit` devices through the connector's own client and table. Raises a ConnectorError.

    Of several scopes, one that fails is named and the others are read; when all fail, the last one's error is raised.
    """
    page_size = min(limit, 100)
    client = module.connector.connect(configured.configuration, stop=Event(), patience=_PATIENCE, page_size=page_size)
    found, failure = Devices(), None
    for scope in module.connector.scopes(client):
        if scope.closed:
            found.closed.append(f"{scope.name}: {scope.closed}")
            continue
        try:
            pages = module.connector.walk(client, None, scope).pages
            _read(chain.from_iterable(page.records for page in pages), module.connector.mapper(), limit, found)
        except ConnectorError as error:
            failure = error
            found.closed.append(f"{scope.name}: {error}")
        if len(found.events) + len(found.skipped) >= limit:
            break
    if failure and not found.events:
        raise failure
    return found


def _read(records: Iterable[Any], mapper: Mapper, limit: int, found: Devices) -> None:
    for record in islice(records, limit - len(found.events) - len(found.skipped)):
        try:
            event = mapper(record)
            ocsf.validate(event)
            found.events.append(event)
        except SkipRecord as reason:
            found.skipped.append(str(reason))


def show_devices(devices: Devices, console: Console, *, table: bool) -> None:
    """For people."""
    if table and devices.events:
        shown = Table(title="As it would be sent", title_justify="left")
        for name in ("hostname", "type", "system", "address", "last seen", "compliant"):
            shown.add_column(name, overflow="fold")
        for event in devices.events:
            shown.add_row(*_row(event["device"]))
        console.print(shown)
    for reason in devices.closed:
        console.print(f"not read: {reason}", soft_wrap=True, markup=False)
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
