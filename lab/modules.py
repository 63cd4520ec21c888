"""The modules the lab knows: all that `sekoia-lab` needs of a vendor is a file in `lab/vendors/`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from lab.kinds import DEVICES
from lab.registration import LabModule

__all__ = ["MODULES", "ROOT", "LabModule", "device_modules"]

ROOT = Path(__file__).resolve().parent.parent
_NAMES = ("HarfangLab", "SentinelOne", "ESET", "Sophos", "CheckpointHarmony")


def _registered() -> Iterator[LabModule]:
    """In this order. The tests of an exported module bring its own registration and no other."""
    for name in _NAMES:
        path = f"lab.vendors.{name.lower()}"
        if find_spec(path):
            yield import_module(path).MODULE


MODULES = {module.name: module for module in _registered()}


def device_modules(names: Iterable[str] = ()) -> list[LabModule]:
    """The modules of these names, all that send devices when none is named."""
    return [MODULES[name] for name in names] or [module for module in MODULES.values() if module.kind is DEVICES]
