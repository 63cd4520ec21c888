"""Text for people, on stderr: complete at any width, no colour with NO_COLOR, no control codes of a vendor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from shared.masking import shown

_UNCUT = 1_000_000  # columns where stderr is not a terminal: a program reads complete lines
_FOLDED = 16  # characters a column of text may be folded to


def for_people() -> Console:
    """A console on stderr. A pipe gets no codes and no broken lines, NO_COLOR no codes for colour or style."""
    bare = bool(os.environ.get("NO_COLOR"))
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, color_system=None if bare else "auto")
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdecimal():
        console.width = _UNCUT
    return console


def readable(path: Path) -> str:
    """The path as a person would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def say(console: Console, *parts: str | tuple[str, str]) -> None:
    """Print one line, not broken, so that it can be copied and searched for. A part may have a style."""
    line = Text()
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, "")
        line.append(shown(text), style)
    console.print(line, soft_wrap=True)


def show_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console, *, numbers: bool = False
) -> None:
    """Print a table; if it is too wide even with folded columns, print each row as lines of `name value`.

    The first column names the row. With `numbers` the others are aligned to the right, and nothing is folded.
    """
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    least = sum(width if numbers else min(width, _FOLDED) for width in widths) + 2 * (len(widths) - 1)
    console.print()
    console.print(Text(title, "bold"))
    if least <= console.width:
        _print_table(columns, cells, console, numbers)
    else:
        _print_rows(columns, cells, console)


def _print_table(columns: Sequence[str], rows: list[list[str]], console: Console, numbers: bool) -> None:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for number, name in enumerate(columns):
        table.add_column(Text(name), overflow="fold", justify="right" if numbers and number else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_rows(columns: Sequence[str], rows: list[list[str]], console: Console) -> None:
    for first, *others in rows:
        console.print(Text(first, "bold", overflow="fold"))
        named = [f"{name} {cell}" for name, cell in zip(columns[1:], others, strict=True) if cell]
        for line in _lines(named, console.width - 2):
            console.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2), expand=False))


def _lines(items: list[str], width: int) -> Iterator[str]:
    """The items, joined by dots into lines of this width; a longer item has a line of its own."""
    line = ""
    for item in items:
        longer = f"{line} · {item}" if line else item
        if line and cell_len(longer) > width:
            yield line
            longer = item
        line = longer
    if line:
        yield line
