"""Finds the commands in the documents, and runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lab.modules import MODULES, ROOT

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *(module.folder / "README.md" for module in MODULES.values()),
]
_CODE = re.compile(r"^```(?P<language>\w*)\n(?P<block>.*?)^```$|`(?P<span>[^`]+)`", re.MULTILINE | re.DOTALL)
_NO_SHELL = {"json", "python", "text"}
_PROGRAMS = (
    *("make", "sekoia-lab", "pytest", "python3?", "pip", "uv", "git", "docker", "podman", "buildah", "bash", "sh"),
    *("apt", "apt-get", "cd", "cp", "curl", "cat", "export", "grep", "jq", "kill", "mkdir", "rm", "sudo", "tail"),
)
_COMMAND = re.compile(rf"(?:[A-Z_]+=\S* )*(?:(?:{'|'.join(_PROGRAMS)}) |\.ci/|\.venv/bin/|\./)\S.*")


def commands_in(document: Path) -> list[str]:
    """Each once, in order: the lines of blocks of `sh`, and in other code what begins like a command."""
    found: list[str] = []
    for code in _CODE.finditer(document.read_text(encoding="utf-8")):
        if code["span"]:
            lines = [" ".join(code["span"].split())]
        elif code["language"] in _NO_SHELL:
            lines = []
        else:
            lines = [line.partition(" #")[0].strip() for line in code["block"].replace("\\\n", " ").splitlines()]
        found += [line for line in lines if _COMMAND.fullmatch(line) or (line and code["language"] == "sh")]
    return list(dict.fromkeys(found))


def blocks_in(document: Path, language: str) -> list[str]:
    """The contents of the blocks of this language."""
    code = _CODE.finditer(document.read_text(encoding="utf-8"))
    return [found["block"] for found in code if found["language"] == language]


def entered(command: str, folder: Path, environment: Mapping[str, str], code: int = 0, timeout: float = 120) -> str:
    """The output of a command in this folder, both streams; it must end with this code, and leaves no process behind.

    `environment` is added to this one, of which the variables of the test run itself are left out.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "FAULTS", "MAKE"))}
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env={**kept, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == code, f"{command}\n{output}"
    return output
