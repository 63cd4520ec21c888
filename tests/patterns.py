"""Every regular expression of the project, found by walking its source, and texts that make a careless one slow."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.modules import MODULES, ROOT

FUNCTIONS = {"compile", "match", "fullmatch", "search", "split", "findall", "finditer", "sub", "subn"}
_RUNS = (
    *"07aZé日 \t\n\x00-_.:/\\%&;,#=+\"'([{<*",
    *("1.", "a1", "1a", "a ", "a-", "a.", "a:", "ab:", "00:", " \n", "--a ", "%2", "\\u", "&a"),
)


def patterns() -> Iterator[tuple[str, str, int, bool]]:
    """Place, pattern, flags, and whether only a beginning or a whole text is matched, of each call of `re` with a pattern, in shared/, the vendors' packages, lab/ and benchmarks/.

    A pattern is evaluated with its module's names; a local name in it is read as "x". A pattern that is only a local
    name is each string of the function's loops.
    """
    for path in sources():
        module = importlib.import_module(module_of(path))
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and is_of_re(node)):
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            argument, flags = call.args[0], flags_of(call)
            if isinstance(argument, ast.Name) and not hasattr(module, argument.id):
                around = [one for one in functions if one.lineno <= call.lineno <= (one.end_lineno or 0)]
                found = [text for one in around for text in strings_of_loops(one, Names(module))]
                assert found, f"{place}: no pattern is known for {argument.id}"
            else:
                found = [eval(compile(ast.Expression(argument), place, "eval"), {}, Names(module))]
            anchored = is_anchored(call, tree)
            for one in found:
                yield place, one.pattern if isinstance(one, re.Pattern) else one, flags, anchored


def is_anchored(call: ast.Call, tree: ast.Module) -> bool:
    """By the functions that are called of it: those of a name that it is assigned to, too."""
    used = {call.func.attr} if isinstance(call.func, ast.Attribute) else set()
    if used == {"compile"}:
        assigned = [one for one in ast.walk(tree) if isinstance(one, ast.Assign) and call in ast.walk(one.value)]
        names = {target.id for one in assigned for target in one.targets if isinstance(target, ast.Name)}
        attributes = [one for one in ast.walk(tree) if isinstance(one, ast.Attribute)]
        used = {
            one.attr
            for one in attributes
            if one.value is call or (isinstance(one.value, ast.Name) and one.value.id in names)
        }
    return bool(used) and used <= {"match", "fullmatch", "pattern"}


def sources() -> list[Path]:
    folders = [ROOT / name for name in ("shared", "lab", "benchmarks")]
    folders += [module.folder / module.package for module in MODULES.values()]
    left_out = {"__main__.py", "sitecustomize.py"}  # importing them does something
    return [path for folder in folders for path in sorted(folder.rglob("*.py")) if path.name not in left_out]


def module_of(path: Path) -> str:
    """Its import name: a vendor's package is imported from its own folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in MODULES:
        sys.path[:0] = [folder for folder in [str(ROOT / parts[0])] if folder not in sys.path]
        parts = parts[1:]
    return ".".join(parts).removesuffix(".__init__")


def is_of_re(call: ast.Call) -> bool:
    function = call.func
    named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "re"
    return named and function.attr in FUNCTIONS and bool(call.args)


def flags_of(call: ast.Call) -> int:
    written = [ast.unparse(one) for one in (*call.args[1:], *(key.value for key in call.keywords))]
    names = {name for text in written for name in re.findall(r"re\.([A-Z]+)\b", text)}
    return sum(int(getattr(re, name)) for name in names)


def strings_of_loops(function: ast.FunctionDef, names: Names) -> Iterator[str]:
    """All strings in what the function's loops go over, as far as it can be evaluated."""
    for loop in ast.walk(function):
        if isinstance(loop, ast.For | ast.comprehension):
            yield from (
                one.value for one in ast.walk(loop.iter) if isinstance(one, ast.Constant) and isinstance(one.value, str)
            )
            named = [
                vars_of
                for one in ast.walk(loop.iter)
                if isinstance(one, ast.Name) and (vars_of := names[one.id]) != "x"
            ]
            yield from (text for value in named for text in strings_in(value))


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from strings_in(one)


class Names(dict[str, Any]):
    """The names of a module, and "x" for any other."""

    def __init__(self, module: Any) -> None:
        super().__init__(vars(module) | {"map": map})

    def __missing__(self, name: str) -> Any:
        return "x"


def texts_for(pattern: str, length: int) -> Iterator[str]:
    """Long runs of characters and pairs, and of what the pattern itself has as literals; with an end that does not fit."""
    literals = [one for one in re.split(r"[\\^$.|?*+()\[\]{}]+", pattern) if len(one) > 1]
    beginnings = {"", *literals[:6]}
    for run in (*_RUNS, *literals):
        long = (run * (length // len(run) + 1))[:length]
        yield from (beginning + long + end for beginning in beginnings for end in ("", "!", "\x01"))
