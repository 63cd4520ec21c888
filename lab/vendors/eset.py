"""What the lab needs to know of ESET."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from lab.registration import Classes, LabModule

if TYPE_CHECKING:
    from lab.consoles.eset import SimulatedEset
    from shared.mapping.table import Field


def _classes() -> Classes:
    from eset_assets.connector import EsetDeviceChanges, EsetDeviceConnector
    from eset_assets.settings import EsetModule
    from eset_assets.validator import EsetAccountValidator

    return Classes(EsetModule, EsetDeviceConnector, EsetAccountValidator, EsetDeviceChanges)


def _table() -> tuple[Field, ...]:
    from eset_assets.mapper import ESET_TO_DEVICE

    return ESET_TO_DEVICE


def _simulated(devices: int) -> SimulatedEset:
    from lab.consoles.eset import SimulatedEset

    console = SimulatedEset()
    console.has(devices)
    return console


def _with_groups(listed: Iterable[Any]) -> Callable[[Any], Any]:
    """`listed`: groups, or answers of `/v1/device_groups`, which hold some."""
    from eset_assets.client import named_group, with_group

    groups = dict(filter(None, map(named_group, chain.from_iterable(map(_groups_in, listed)))))
    return lambda device: with_group(device, groups)


def _groups_in(entry: Any) -> list[Any]:
    held = entry.get("deviceGroups") if isinstance(entry, dict) else None
    return held if isinstance(held, list) else [entry]


MODULE = LabModule(
    name="ESET",
    published="bbc218bf-9cf4-4d77-8938-47cebe86801f",
    library_folder="Eset",
    package="eset_assets",
    classes=_classes,
    table=_table,
    incidents={
        "is handed to someone else": {"description": "Pool device, handed out at the front desk"},
        "gets another address": {"primaryLocalIpAddress": "192.0.2.77"},
    },
    simulated=_simulated,
    settings_for=lambda console: {
        "region": "eu",
        "username": console.username,
        "password": console.password,
        "authentication_url": console.url,
        "api_url": console.url,
    },
    with_groups=_with_groups,
)
