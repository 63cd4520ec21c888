"""Text for people: complete at any width, plain if stderr is not a terminal, free of a vendor's control codes.

A test on a terminal starts a process, of which the terminal is a file; all others run the command in this one.
"""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from lab.commands.running import progress_on
from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.fleet.sentinelone import sentinelone_agents
from lab.modules import MODULES
from lab.platform.faults import Status
from lab.terminal import say, show_table
from shared.masking import shown
from tests.lab.command_line import lab

LAB = Path(sys.executable).with_name("sekoia-lab")
CODES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z])")
WIDTHS = (40, 60, 80)
ON_TERMINALS = (40, *(pytest.param(width, marks=pytest.mark.slow) for width in WIDTHS[1:]))  # a process each
LONG = "very-long-" * 20 + "end"
HOSTILE = {
    "markup": "[red]not red[/red]",
    "closing": "[/bold] :warning:",
    "escape": "a \x1b[31mred\x1b]0;title\x07 z",
    "control": "one\rtwo\x08\x00\x9b31m",
    "direction": "\u202egnp.exe",
    "lines": "first\nsecond\u2028third",
    "wide": "工作站-北京-👩‍💻-" * 4,
    "long": LONG,
}
WRITTEN = {
    **HOSTILE,
    "escape": r"a \x1b[31mred\x1b]0;title\x07 z",
    "control": r"one two\x08\x00\x9b31m",
    "direction": r"\u202egnp.exe",
    "lines": "first second third",
}
STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]")  # all but the end of a line


def environment(**changes: str) -> dict[str, str]:
    mine = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM")
    return {
        **{name: value for name, value in os.environ.items() if name not in mine},
        "TERM": "xterm-256color",
        **changes,
    }


def on_terminal(columns: int, *arguments: str | Path, **changes: str) -> str:
    """What a terminal of that width is sent through stderr, by a process: a terminal is one of its files."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (50, columns))
    process = subprocess.Popen(
        [str(LAB), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(**changes),
    )
    os.close(theirs)
    sent = bytearray()
    try:
        while part := os.read(ours, 65_536):
            sent += part
    except OSError:  # the other side is closed
        pass
    finally:
        os.close(ours)
        assert process.stdout is not None
        assert process.stdout.read() == b""
        process.wait(60)
        process.stdout.close()
    return sent.decode()


def seen(sent: str) -> list[str]:
    """The lines a person sees."""
    return [line.rstrip() for line in re.split(r"\r?\n|\r", CODES.sub("", sent))]


def joined(lines: list[str]) -> str:
    """Without the breaks that a narrow terminal needs."""
    return re.sub(r"\s", "", "".join(lines))


@pytest.fixture
def console() -> Iterator[SimulatedSentinelOne]:
    with SimulatedSentinelOne() as console:
        agents = zip(sentinelone_agents(len(HOSTILE), odd=False), HOSTILE.values(), strict=True)
        console.has([{**agent, "computerName": name} for agent, name in agents])
        yield console


@pytest.fixture
def config(console: SimulatedSentinelOne, tmp_path: Path) -> tuple[str, str, Path]:
    path = tmp_path / "module.json"
    path.write_text(json.dumps({"hostname": console.url, "api_token": console.token}))
    return "SentinelOne", "--module-config", path


# --- one text, one table


@pytest.mark.parametrize("name", HOSTILE)
def test_control_characters_are_written_out(name: str) -> None:
    assert shown(HOSTILE[name]) == WRITTEN[name]


def test_half_of_a_surrogate_pair_can_be_printed() -> None:
    assert shown("\ud83d") == r"\ud83d"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_is_printed_complete_and_unchanged(name: str) -> None:
    console = Console(file=io.StringIO(), width=40, force_terminal=True, markup=False, emoji=False, highlight=False)
    say(console, ("No.", "red"), f" {HOSTILE[name]}")
    assert console.file.getvalue() == f"\x1b[31mNo.\x1b[0m {WRITTEN[name]}\n"


def table_at(width: int, *, numbers: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    rows = [[name, "7", "1,234,567"] if numbers else [name, "Desktop", "Windows 11 Pro"] for name in HOSTILE.values()]
    show_table("All of them", ("name", "kind", "a longer heading"), rows, console, numbers=numbers)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("width", [20, *WIDTHS, 300])
def test_a_table_holds_all_of_each_cell_within_the_width(width: int, numbers: bool) -> None:
    lines = table_at(width, numbers=numbers)
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)
    # A folded cell stands in lines of its own column: what each column holds is read downwards.
    columns = [joined([line[:at] for line in lines]) for at in range(8, width + 1)]
    for name in WRITTEN.values():
        assert any(re.sub(r"\s", "", name) in column for column in columns), name


def test_a_wide_terminal_gets_a_table_and_a_narrow_one_rows() -> None:
    assert any(line.startswith("name ") and "a longer heading" in line for line in table_at(80))
    assert "  kind Desktop" in table_at(20)
    assert "  kind Desktop · a longer heading Windows 11 Pro"[:40] not in table_at(300)


def test_numbers_are_never_folded() -> None:
    for line in table_at(80, numbers=True):
        assert "1,234,567" in line or "1,2" not in line


# --- preview


def test_a_piped_preview_has_whole_lines_and_no_codes(config: tuple[str, str, Path]) -> None:
    done = lab("preview", *config)
    assert (done.returncode, done.stdout) == (0, "")
    assert not STEERING.search(done.stderr)
    lines = done.stderr.splitlines()
    for name in WRITTEN.values():
        assert any(line.startswith(name) for line in lines), name
    assert lines[-1] == f"{len(HOSTILE)} devices read, 0 skipped; nothing was sent or stored."


@pytest.mark.parametrize("columns", ON_TERMINALS)
def test_a_preview_fits_the_terminal_and_cuts_nothing(config: tuple[str, str, Path], columns: int) -> None:
    lines = seen(on_terminal(columns, "preview", *config, "--limit", "8"))
    devices = [line for line in lines if "nothing was sent" not in line]
    assert max(map(cell_len, devices)) <= columns
    assert "…" not in "".join(lines)
    assert joined([r"a \x1b[31mred\x1b]0;title\x07 z"]) in joined(lines)
    assert "[red]notred[/red]" in joined(lines)


@pytest.mark.parametrize("columns", WIDTHS)
def test_a_piped_preview_keeps_to_columns_that_were_asked_for(config: tuple[str, str, Path], columns: int) -> None:
    lines = lab("preview", *config, COLUMNS=str(columns)).stderr.splitlines()
    assert max(cell_len(line) for line in lines[:-1]) <= columns
    assert "…" not in "".join(lines)


def test_a_terminal_is_sent_no_code_but_our_own(config: tuple[str, str, Path]) -> None:
    sent = on_terminal(120, "preview", *config)
    assert set(CODES.findall(sent)) <= {"\x1b[1m", "\x1b[0m"}
    assert not STEERING.search(CODES.sub("", sent).replace("\r\n", "\n"))


@pytest.mark.parametrize("command", ["preview", "check"])
def test_with_no_color_a_terminal_is_sent_no_code(config: tuple[str, str, Path], command: str) -> None:
    assert "\x1b" in on_terminal(80, command, *config)
    assert "\x1b" not in on_terminal(80, command, *config, NO_COLOR="1")


def test_a_preview_as_json_has_results_only_on_stdout(config: tuple[str, str, Path]) -> None:
    done = lab("preview", *config, "--json")
    names = [json.loads(line)["device"]["hostname"] for line in done.stdout.rstrip("\n").split("\n")]
    assert sorted(names) == sorted(HOSTILE.values())
    assert "\x1b" not in done.stdout
    assert done.stderr.splitlines() == [f"{len(HOSTILE)} devices read, 0 skipped; nothing was sent or stored."]


# --- check


@pytest.mark.parametrize("command", ["preview", "check"])
@pytest.mark.parametrize("name", ["markup", "closing", "escape", "lines"])
def test_a_vendors_reason_of_an_error_is_one_line_of_text(
    console: SimulatedSentinelOne, config: tuple[str, str, Path], name: str, command: str
) -> None:
    """A vendor's "[/bold]" ended the command with a traceback of rich's markup."""
    console.fault(Status(400, json.dumps({"detail": HOSTILE[name]})), times=None)
    done = lab(command, *config)
    assert (done.returncode, done.stdout) == (1, "")
    assert not STEERING.search(done.stderr)
    [line] = done.stderr.splitlines()
    assert "SentinelOne answered HTTP 400" in line
    assert WRITTEN[name] in line or name in ("escape", "lines")  # of which the connector keeps the words only


@pytest.mark.parametrize("columns", ON_TERMINALS)
def test_a_narrow_terminal_gets_the_whole_answer(
    console: SimulatedSentinelOne, config: tuple[str, str, Path], columns: int
) -> None:
    assert joined(seen(on_terminal(columns, "check", *config))) == "Yes.SentinelOnecanbereadwiththisconfiguration."
    console.token = "another"
    assert "refusedthecredentials" in joined(seen(on_terminal(columns, "check", *config)))


@pytest.mark.parametrize("columns", [40, 80])
def test_help_names_each_option_whole(columns: int) -> None:
    done = lab("preview", "--help", COLUMNS=str(columns))
    assert done.returncode == 0
    assert "…" not in done.stdout
    assert re.findall(r"^  (--[a-z-]+)", done.stdout, re.MULTILINE) == [
        "--module-config",
        "--limit",
        "--json",
        "--help",
    ]


# --- demo


@pytest.mark.parametrize("columns", ON_TERMINALS)
def test_progress_and_summary_fit_the_terminal(tmp_path: Path, columns: int) -> None:
    lines = seen(on_terminal(columns, "demo", "--devices", "9", "--out", tmp_path))
    paths = [line for line in lines if line.startswith(("What was sent:", "Report:"))]
    assert len(paths) == 2
    assert max(cell_len(line) for line in lines if line not in paths) <= columns
    assert [line for line in lines if "…" in line and not line.endswith("each …")] == []
    progress = [line for line in lines if re.match(r"CheckpointHarmony .*\d+/9", line)]
    assert progress, "the bars name each module and count what it read"
    assert "skipped" in "".join(lines)


@pytest.mark.parametrize("columns", WIDTHS)
def test_progress_of_large_fleets_is_not_cut(columns: int) -> None:
    console = Console(file=io.StringIO(), width=columns, force_terminal=True, color_system=None)
    progress = progress_on(console)
    for done, name in enumerate(MODULES):
        progress.add_task(name, total=100_000, completed=20_000 * done)
    console.print(progress.make_tasks_table(progress.tasks))
    lines = console.file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= columns
    for done, (name, line) in enumerate(zip(MODULES, lines, strict=True)):
        assert re.search(rf"^{name} .*\b{20_000 * done}/100000\b", line)


def test_a_piped_demo_reports_its_progress_in_lines(tmp_path: Path) -> None:
    done = lab("demo", "--devices", "9", "--out", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert not STEERING.search(done.stderr)
    assert re.search(r"^Sophos ended its round: \d+ read, 9 sent$", done.stderr, re.MULTILINE)
    assert re.search(r"^CheckpointHarmony +\d+ +9 +\d+ +2 ", done.stderr, re.MULTILINE)
    assert f"\nReport: {tmp_path / 'report.html'}\n" in done.stderr
