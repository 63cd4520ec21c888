"""`sekoia-lab` in this process: what a command writes and its exit code, without the second that a start takes.

`tests/test_documents.py` starts each command as a process, `tests/lab/test_terminal.py` some on a terminal.
"""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from lab import cli


@dataclass(frozen=True)
class Done:
    """The output of a command, a crash as its traceback on stderr, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def lines(text: str) -> list[Any]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def lab(*arguments: str | Path, stdin: bytes = b"", **environment: str | None) -> Done:
    """Run it as in a pipe, with these variables in its environment; None removes one."""
    runner = CliRunner(env={"COLUMNS": None, "NO_COLOR": None, "FORCE_COLOR": None, **environment})
    with runner.isolation(), patch.object(cli, "people", cli.for_people()):  # it looks at the stream and the variables
        done = runner.invoke(cli.app, [*map(str, arguments)], input=stdin)
    crash = done.exception if not isinstance(done.exception, SystemExit | None) else None
    return Done(done.exit_code, done.stdout, done.stderr + "".join(traceback.format_exception(crash) if crash else ()))
