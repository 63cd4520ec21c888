"""A look at real devices, as they would be sent: nothing is written and nothing is sent."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, islice
from threading import Event
from typing import Any

from rich.console import Console
from sekoia_automation.module import Module

from lab.kinds import Kind
from lab.modules import LabModule
from lab.terminal import say, show_table
from shared.alerts.connector import EventConnector
from shared.errors import ConnectorError, SkipRecord
from shared.http.pages import Page
from shared.http.session import Patience

_PATIENCE = Patience(connect=5.0, read=30.0, attempts=2)
_DAYS = 7  # of alerts, which have no end


@dataclass
class Devices:
    """Events, the reasons of skipped records, and the parts of the credential's scope that could not be read, with reasons."""

    events: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def read_devices(module: LabModule, configured: Module, limit: int) -> Devices:
    """The first `limit` devices through the connector's own client and table. Raises a ConnectorError.

    Of several scopes, one that fails is named and the others are read; when all fail, the last one's error is raised.
    """
    connector, page_size = module.connector, min(limit, 100)
    client = connector.connect(configured.configuration, stop=Event(), patience=_PATIENCE, page_size=page_size)
    found, failure = Devices(), None
    if issubclass(connector, EventConnector):
        now = int(time.time())
        _read(_records(connector.pages(client, now - _DAYS * 86_400, now)), module, limit, found)
        return found
    for scope in connector.scopes(client):
        if scope.closed:
            found.closed.append(f"{scope.name}: {scope.closed}")
            continue
        try:
            _read(_records(connector.walk(client, None, scope).pages), module, limit, found)
        except ConnectorError as error:
            failure = error
            found.closed.append(f"{scope.name}: {error}")
        if len(found.events) + len(found.skipped) >= limit:
            break
    if failure and not found.events:
        raise failure
    return found


def _records(pages: Iterable[Page]) -> Iterable[Any]:
    return chain.from_iterable(page.records for page in pages)


def _read(records: Iterable[Any], module: LabModule, limit: int, found: Devices) -> None:
    mapper = module.connector.mapper()
    for record in islice(records, limit - len(found.events) - len(found.skipped)):
        try:
            event = mapper(record)
            module.kind.check(event)
            found.events.append(event)
        except SkipRecord as reason:
            found.skipped.append(str(reason))


def show_devices(devices: Devices, console: Console, kind: Kind, *, table: bool) -> None:
    """For people."""
    if table and devices.events:
        show_table("As it would be sent", kind.columns, [kind.row(event) for event in devices.events], console)
        console.print()
    for reason in devices.closed:
        say(console, f"not read: {reason}")
    for reason in devices.skipped:
        say(console, f"skipped: {reason}")
    read = f"{len(devices.events)} {kind.noun}s read, {len(devices.skipped)} skipped"
    say(console, f"{read}; nothing was sent or stored.")
