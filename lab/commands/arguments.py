"""The arguments of the commands, read and checked; typer's BadParameter says why one is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from lab.modules import MODULES, LabModule
from lab.terminal import say
from shared.errors import SkipRecord

if TYPE_CHECKING:
    from rich.console import Console

ModuleName = Annotated[str, typer.Argument(metavar="MODULE", help=f"One of {', '.join(MODULES)}.")]
ModuleConfig = Annotated[
    Path, typer.Option("--module-config", help="JSON file with the module's settings, secrets included.")
]


def module_named(name: str) -> LabModule:
    """The module of this name, in any case."""
    found = {known.lower(): module for known, module in MODULES.items()}.get(name.lower())
    if found is None:
        raise typer.BadParameter(f"There is no module {name!r}. Known are {', '.join(MODULES)}.")
    return found


def opened(path: Path) -> BinaryIO:
    """The file, open for reading."""
    try:
        return path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}.") from None


def groups_added(module: LabModule, path: Path | None) -> Callable[[Any], Any]:
    """A function that adds its group to a raw device, and none without a file of groups."""
    if path is None:
        return lambda record: record
    if module.with_groups is None:
        raise typer.BadParameter(f"{module.name} devices bring their groups along; --groups is not for them.")
    from lab.commands.records import read_records

    with opened(path) as file:
        listed = list(read_records(file))
    if any(isinstance(entry, SkipRecord) for entry in listed):
        raise typer.BadParameter(f"{path} is not JSON.")
    return module.with_groups(listed)


def json_object(path: Path) -> dict[str, Any]:
    """The object in a file of settings or arguments."""
    with opened(path) as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise typer.BadParameter(f"{path} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path} does not hold a JSON object.")
    return found


@contextmanager
def reported(people: Console, *errors: type[Exception]) -> Iterator[None]:
    """Report these errors in red, each line by itself, and end the command with exit code 1."""
    try:
        yield
    except errors as error:
        for line in str(error).splitlines():
            say(people, (line, "red"))
        raise typer.Exit(1) from None


def configured(module: LabModule, config: Path, people: Console) -> Any:
    """The module with the settings in a file; wrong settings are reported, and end the command."""
    from pydantic import ValidationError
    from sekoia_automation.exceptions import ModuleConfigurationError

    from shared.runtime.settings import configuration_error

    settings = json_object(config)
    try:
        return module.configured(settings)
    except (ModuleConfigurationError, ValidationError) as error:
        say(people, (configuration_error(error), "red"))
        raise typer.Exit(1) from None
