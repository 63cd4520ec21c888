"""`sekoia-lab release`: raise a module's version in every file that holds it.

The platform restarts what runs only for a higher version, which `manifest.json` and `CHANGELOG.md` must agree on.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from lab.modules import LabModule

_UNRELEASED = "## Unreleased\n"


class Part(StrEnum):
    """Of a version, by Semantic Versioning: a fix, an addition, a change that a user has to act on."""

    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"


class ReleaseError(ValueError):
    """Why no version was raised, and what to do; nothing was written."""


def release(module: LabModule, part: Part) -> str:
    """Raise the version in manifest.json, the Dockerfile and the CHANGELOG, and return it."""
    manifest, dockerfile, changelog = (module.folder / name for name in ("manifest.json", "Dockerfile", "CHANGELOG.md"))
    old = json.loads(manifest.read_text(encoding="utf-8"))["version"]
    new = raised(old, part)
    changed = {
        changelog: _released(changelog, new),
        manifest: _replaced(manifest, f'"version": "{old}"', f'"version": "{new}"'),
        dockerfile: _replaced(dockerfile, f" VERSION={old}\n", f" VERSION={new}\n"),
    }
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return new


def raised(version: str, part: Part) -> str:
    """1.2.3 → 1.2.4, 1.3.0 or 2.0.0."""
    major, minor, patch = map(int, version.split("."))
    return {
        Part.PATCH: f"{major}.{minor}.{patch + 1}",
        Part.MINOR: f"{major}.{minor + 1}.0",
        Part.MAJOR: f"{major + 1}.0.0",
    }[part]


def _released(path: Path, version: str) -> str:
    """The CHANGELOG with its unreleased changes under this version, of today, and an empty section for the next ones."""
    before, heading, after = path.read_text(encoding="utf-8").partition(_UNRELEASED)
    unreleased = re.split(r"^## ", after, maxsplit=1, flags=re.MULTILINE)[0]
    if not heading or not re.search(r"^- \S", unreleased, re.MULTILINE):
        raise ReleaseError(
            f"{path.parent.name}/CHANGELOG.md has no change under {_UNRELEASED.strip()!r}. Write there what changed for a "
            "customer, then release."
        )
    return f"{before}{heading}\n## [{version}] - {datetime.now(UTC).date()}\n{after}"


def _replaced(path: Path, old: str, new: str) -> str:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise ReleaseError(f"{path.parent.name}/{path.name} does not hold {old.strip()!r} once. Correct it by hand.")
    return text.replace(old, new)
