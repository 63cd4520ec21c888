"""The list of modules, found in `lab/vendors/`: to add one, add a file there."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from lab import vendors
from lab.kinds import DEVICES
from lab.registration import LabModule

__all__ = ["MODULES", "ROOT", "LabModule", "device_modules"]

ROOT = Path(__file__).resolve().parent.parent


def _registered() -> list[LabModule]:
    """Modules of devices first, each kind by name."""
    found = [import_module(f"{vendors.__name__}.{one.name}").MODULE for one in iter_modules(vendors.__path__)]
    return sorted(found, key=lambda module: (module.kind is not DEVICES, module.name.lower()))


MODULES = {module.name: module for module in _registered()}


def device_modules(names: Iterable[str] = ()) -> list[LabModule]:
    """The modules of these names; without names all that send devices."""
    return [MODULES[name] for name in names] or [module for module in MODULES.values() if module.kind is DEVICES]
