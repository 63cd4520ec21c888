"""Which files of this repository a Python file needs, read from its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.modules import ROOT


def names_imported(path: Path) -> Iterator[str]:
    """Full names, as far as an import has them; relative imports are not followed."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def needed(paths: Iterable[Path], packages: tuple[str, ...]) -> set[Path]:
    """The files, and what they import of these top-level packages, and so on, with the `__init__.py` on the way."""
    found: set[Path] = set()
    ahead = list(paths)
    while ahead:
        path = ahead.pop()
        if path in found:
            continue
        found.add(path)
        ahead += [folder / "__init__.py" for folder in path.parents if (folder / "__init__.py").is_file()]
        for name in names_imported(path):
            if name.partition(".")[0] in packages:
                ahead += _file_of(name)
    return found


def _file_of(name: str) -> list[Path]:
    module = ROOT.joinpath(*name.split("."))
    return [path for path in (module.with_suffix(".py"), module / "__init__.py") if path.is_file()]
