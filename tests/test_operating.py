"""docs/operating.md lists what the code says: no message without its row, no row without its message.

A message is read from the source: the literal parts of the text, `…` for each variable part. A row of the page begins
with the message, in that form, in backticks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from lab.modules import MODULES, ROOT

PAGE = ROOT / "docs" / "operating.md"
ERRORS = {"ActionNeeded", "TryAgain", "UnexpectedReply", "Overtaken"}
LOGS = {"log", "warn", "_warn", "error", "log_exception", "_warn_once", "_say"}
ADDED = {"adding"}  # what an error says at its end
SETTINGS = {"settings.py", "trust.py", "urls.py"}  # files whose ValueErrors a customer reads
ANSWERS = {"configuration_error", "_remedy"}  # functions whose text, behind an error's class if any, is a message
TABLES = {"_WRONG": 0, "_TLS": 1, "_CONNECTION": 1}  # of words in a message, and where in a row they are
PARTS = {"said", "credential", "otherwise"}  # variables that hold the begin or the end of a message
LEAST_LETTERS = 6  # of a literal part, to be a message at all: `f"{said} {what}"` says nothing itself


def sources() -> list[Path]:
    folders = [ROOT / "shared", *(module.folder for module in MODULES.values())]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def normal(text: str) -> str:
    """White space as one space, variable parts in a row, or written as `{name}`, as one `…`."""
    return re.sub(r"…(?:\s*…)+", "…", " ".join(re.sub(r"\{\w+\}", "…", text).split()))


def texts_of(node: ast.expr, function: ast.AST) -> list[str]:
    """What an expression can say, `…` for what is not written there; a name stands for each value that it had before.

    A constant of the file counts where it is a sentence.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in product(*(texts_of(value, function) for value in node.values))]
    if isinstance(node, ast.FormattedValue):
        return texts_of(node.value, function)
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, function) + texts_of(node.orelse, function)
    if isinstance(node, ast.Name):
        before = [
            found
            for found in ast.walk(function)
            if isinstance(found, ast.Assign)
            and found.lineno < node.lineno
            and any(isinstance(target, ast.Name) and target.id == node.id for target in found.targets)
        ]
        if before and node.id not in PARTS:
            return [text for found in before for text in texts_of(found.value, function)]
        return [getattr(function, "constants", {}).get(node.id, "…")]
    return ["…"]


def said_in(path: Path) -> Iterator[tuple[ast.expr, ast.AST]]:
    """Each expression that becomes a message, with the function it stands in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        column = TABLES.get(getattr(node.targets[0], "id", "")) if isinstance(node, ast.Assign) else None
        if column is not None:
            rows = node.value.values if isinstance(node.value, ast.Dict) else node.value.elts
            yield from ((row.elts[column] if isinstance(row, ast.Tuple) else row, tree) for row in rows)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name) and path.is_relative_to(ROOT / "shared")  # a vendor's are its advice
    }
    for function in functions:
        function.constants = constants  # type: ignore[attr-defined] # carried along
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in PARTS:
                yield node.value, function
            if isinstance(node, ast.Return) and node.value and function.name in ANSWERS:
                yield node.value.elts[1] if isinstance(node.value, ast.Tuple) else node.value, function
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            named = [keyword.value for keyword in node.keywords if keyword.arg == "message"]
            if name in ERRORS | LOGS | ADDED or (name == "ValueError" and path.name in SETTINGS):
                yield from ((message, function) for message in named or node.args[:1])


def messages() -> dict[str, str]:
    """Message → where it is said."""
    found: dict[str, str] = {}
    for path in sources():
        for expression, function in said_in(path):
            for text in map(normal, texts_of(expression, function)):
                if any(len(part.strip()) >= LEAST_LETTERS for part in text.split("…")):
                    found[text] = f"{path.relative_to(ROOT)}:{expression.lineno}"
    return found


def rows() -> set[str]:
    """The messages that rows of the page's last part begin with."""
    return {normal(row) for row in re.findall(r"^\| `([^`]+)` \|", listed(), re.MULTILINE)}


def listed() -> str:
    return PAGE.read_text(encoding="utf-8").partition("\n## Every message\n")[2]


@pytest.mark.parametrize(
    "expected", ["… forbids … with this credential (HTTP 403)….", "is not a web address; enter it as https://host"]
)
def test_the_reading_of_the_code_finds_messages(expected: str) -> None:
    assert expected in messages()
    assert len(messages()) > 60


def test_each_message_of_the_code_has_its_row() -> None:
    known = rows()
    assert {text: where for text, where in messages().items() if text not in known} == {}


def test_each_row_is_a_message_of_the_code() -> None:
    assert rows() - messages().keys() == set()


def test_each_row_says_why_and_what_to_do() -> None:
    for line in listed().splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 3, line
            assert all(cells), line
