"""The part of a lock that some packages need, read from uv's `# via` comments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NO_SOURCES = "--only-binary :all:\n\n"
"""How each lock begins: to build a package from its source, pip fetches tools that no lock pins, and runs its code."""


@dataclass(frozen=True)
class Pin:
    """One package of a lock: its requirement, its lines unchanged, and the names of the packages that need it."""

    requirement: Requirement
    text: str
    via: frozenset[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


def pins(lock: str) -> list[Pin]:
    """In the lock's order."""
    found = []
    for block in re.split(r"\n(?=[A-Za-z0-9])", lock.removeprefix(NO_SOURCES).strip()):
        via = re.findall(r"^ +#(?: via)? +(?!via$)([A-Za-z0-9._-]+)", block, re.MULTILINE)
        requirement = Requirement(re.split(r"\\|\n", block, maxsplit=1)[0].strip())
        found.append(Pin(requirement, block, frozenset(map(canonicalize_name, via))))
    return found


def part_for(lock: str, names: Iterable[str]) -> str:
    """The lock of these packages and all they need, with the same versions and hashes. KeyError of one it lacks.

    The comments do not distinguish extras: a package that only another package's extra needs may be in the part too.
    """
    every = pins(lock)
    wanted: set[str] = set(map(canonicalize_name, names))
    if unknown := wanted - {pin.name for pin in every}:
        raise KeyError(*sorted(unknown))
    while added := {pin.name for pin in every if pin.via & wanted} - wanted:
        wanted |= added
    return NO_SOURCES + "".join(f"{pin.text}\n" for pin in every if pin.name in wanted)
