"""The public automation library's rules on what its CI builds and runs: locks, Dockerfile, tools, the form of JSON files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab.packaging.locks import NO_SOURCES

TOOLS = (
    "uv sync --frozen",
    "uv run ruff check .",
    "uv run ruff format --check .",
    "uv run mypy",
    "uv run pytest --cov . --cov-config pyproject.toml",
)
"""The commands that the library's CI runs in a folder."""
LOCK = "uv.lock"
USER, USER_ID = "sekoiaio-runtime", 1000
_DEVELOPMENT = {"pytest", "pytest-cov", "mypy", "ruff"}


def written(content: Any) -> str:
    """JSON as the library compares it: nothing but ASCII, and no line break at the end."""
    return json.dumps(content, indent=2)


def _tests(folder: Path) -> Iterator[str]:
    if not any((folder / "tests").rglob("test_*.py")):
        yield "tests holds no test_*.py"


def _dockerfile(folder: Path) -> Iterator[str]:
    text = (folder / "Dockerfile").read_text(encoding="utf-8")
    if not re.search(r'^ENTRYPOINT \["python", "\./main\.py"\]$', text, re.MULTILINE):
        yield 'Dockerfile lacks ENTRYPOINT ["python", "./main.py"]'
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    made = re.search(rf"useradd .*--uid {USER_ID} .*{USER}\b", text)
    if not made or not users or users[-1] not in (USER, f"{USER_ID}:{USER_ID}"):
        yield f"Dockerfile does not end as the user {USER} ({USER_ID})"
    for copied in (
        line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ") and "--from" not in line
    ):
        for source in copied:
            if not source.startswith("--") and not (folder / source).exists():
                yield f"Dockerfile copies {source}, which is not in the folder"


def _locks(folder: Path) -> Iterator[str]:
    for name in ("requirements.lock", "requirements-image.lock"):
        text = (folder / name).read_text(encoding="utf-8")
        blocks = re.split(r"\n(?=\w)", text.removeprefix(NO_SOURCES).strip())
        if not text.startswith(NO_SOURCES):
            yield f"{name} lets pip build packages from their source: it does not begin with {NO_SOURCES.strip()}"
        if not all("==" in block and "--hash=sha256:" in block for block in blocks) or "://" in "".join(blocks):
            yield f"{name} pins nothing, lacks a hash or names an address"


def uv_lock(folder: Path) -> Iterator[str]:
    """The lock that uv writes; the package registry that it names has to be one that others can reach too."""
    path = folder / LOCK
    if not path.is_file():
        yield f"{LOCK} is missing"
        return
    for package in tomllib.loads(path.read_text(encoding="utf-8"))["package"]:
        match package["source"]:
            case {"virtual": "."}:
                pass
            case {"registry": address} if str(address).startswith("https://"):
                files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
                if not files or not all(str(file.get("hash")).startswith("sha256:") for file in files):
                    yield f"{LOCK}: {package['name']} lacks a hash"
            case source:
                yield f"{LOCK}: {package['name']} comes from {source}, which others do not reach"


def _tooling(folder: Path) -> Iterator[str]:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    tools = project.get("tool", {})
    development = {re.split(r"[^A-Za-z0-9._-]", one)[0] for one in project.get("dependency-groups", {}).get("dev", [])}
    if missing := _DEVELOPMENT - development:
        yield f"pyproject.toml: the dependency group dev lacks {', '.join(sorted(missing))}"
    if project["project"]["version"] != manifest.get("version"):
        yield "pyproject.toml has another version than manifest.json"
    for name, key in (("uv", "package"), ("ruff", "src"), ("mypy", "files"), ("coverage", "run")):
        if key not in tools.get(name, {}):
            yield f"pyproject.toml lacks {key} of [tool.{name}]"
    for name in (name for name in tools.get("mypy", {}).get("files", []) if not (folder / name).exists()):
        yield f"pyproject.toml: mypy is to look at {name}, which is not in the folder"


def _json_form(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.json")):
        text = path.read_text(encoding="utf-8")
        if text != written(json.loads(text)):
            yield f"{path.relative_to(folder)} is not as json.dumps(…, indent=2) writes it"


FOLDER_CHECKS: tuple[Callable[[Path], Iterator[str]], ...] = (_tests, _dockerfile, _locks, _tooling, _json_form)
