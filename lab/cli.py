"""`sekoia-lab`: the modules without the platform. Results for machines on stdout, everything for people on stderr."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from sekoia_automation.exceptions import ModuleConfigurationError

from lab import demo as demonstration
from lab.modules import MODULES, LabModule
from lab.platform import LocalPlatform
from lab.preview import read_devices, show_devices
from lab.process import ModuleProcess
from lab.records import read_records
from lab.running import Following, readable
from lab.summary import show
from shared.errors import ConnectorError, SkipRecord
from shared.settings import configuration_error

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
people = Console(stderr=True, highlight=False)

ModuleName = Annotated[str, typer.Argument(metavar="MODULE", help=f"One of {', '.join(MODULES)}.")]
ModuleConfig = Annotated[
    Path, typer.Option("--module-config", help="JSON file with the module's settings, secrets included.")
]


def main() -> None:
    """Entry point."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


@app.command()
def demo(
    devices: Annotated[int, typer.Option(min=1, help="Devices (or alerts) in each simulated console.")] = 500,
    out: Annotated[Path, typer.Option(help="Where sent.jsonl, report.html and the state go.")] = Path(".lab/demo"),
) -> None:
    """Run the modules against simulated consoles and a local platform, as the platform would run them."""
    outcomes = demonstration.run(devices, out, people)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def run(
    module: ModuleName,
    module_config: ModuleConfig,
    connector_config: Annotated[Path, typer.Option("--connector-config", help="JSON file with the arguments.")],
    data: Annotated[Path | None, typer.Option(help="Where the state is kept between runs.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after one round.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON lines of what was sent; else stdout.")] = None,
) -> None:
    """Run one module for real, against the vendor in the configuration; the local platform receives."""
    chosen = _module(module)
    settings, arguments = _json_file(module_config), _json_file(connector_config)
    state = data or Path(".lab") / chosen.name
    with tempfile.TemporaryDirectory() as scratch:
        sent = out or Path(scratch) / "sent.jsonl"
        with (
            LocalPlatform(out=sent) as platform,
            ModuleProcess(chosen, platform, settings, arguments, state, log=state / "module.log") as process,
        ):
            people.print(f"{chosen.name} is running; its state and log are in {readable(state)}")
            following = Following([process], platform, people)
            try:
                outcomes = following.until_round_ended()
                show(outcomes, people)
                while not once and process.exit_code is None:
                    time.sleep(0.5)
            except KeyboardInterrupt:
                people.print("Stopping …")
                outcomes = list(following.outcomes.values())
        if out is None and sent.exists():
            sys.stdout.write(sent.read_text(encoding="utf-8"))
    if not outcomes or any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


@app.command(name="map")
def map_records(
    module: ModuleName,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="- or nothing is stdin.")] = None,
    groups: Annotated[Path | None, typer.Option(help="The vendor's groups, where devices only name their ids.")] = None,
) -> None:
    """Raw vendor objects (an object, an array or JSON lines) → one JSON line each, as it would be sent."""
    chosen = _module(module)
    mapper, grouped = chosen.connector.mapper(), _with_groups(chosen, groups)
    content = sys.stdin.buffer if file is None or str(file) == "-" else _open(file)
    failed = False
    with content:
        for number, record in enumerate(read_records(content), start=1):
            try:
                if isinstance(record, SkipRecord):
                    raise record
                event = mapper(grouped(record))
                chosen.kind.check(event)
            except SkipRecord as reason:
                failed = True
                sys.stderr.write(f"record {number}: {reason.field}: {reason.reason}\n")
            else:
                sys.stdout.buffer.write(orjson.dumps(event) + b"\n")
    sys.stdout.flush()
    if failed:
        raise typer.Exit(1)


@app.command()
def check(module: ModuleName, module_config: ModuleConfig) -> None:
    """The "Test connector" of the UI, in words: does this configuration work?"""
    chosen = _module(module)
    configured = _configured(chosen, module_config)
    validator = chosen.validator(configured)
    if not validator.validate():
        people.print(f"[red]No.[/red] {validator._error}", soft_wrap=True)
        raise typer.Exit(1)
    people.print(f"[green]Yes.[/green] {chosen.name} can be read with this configuration.")


@app.command()
def preview(
    module: ModuleName,
    module_config: ModuleConfig,
    limit: Annotated[int, typer.Option(min=1, help="Devices (or alerts) to read.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Events as JSON lines on stdout.")] = False,
) -> None:
    """Read some real devices or alerts and show what would be sent. Writes and sends nothing."""
    chosen = _module(module)
    try:
        devices = read_devices(chosen, _configured(chosen, module_config), limit)
    except ConnectorError as error:
        people.print(f"[red]{error}[/red]", soft_wrap=True)
        raise typer.Exit(1) from None
    if as_json:
        for event in devices.events:
            sys.stdout.buffer.write(orjson.dumps(event) + b"\n")
        sys.stdout.flush()
    show_devices(devices, people, chosen.kind, table=not as_json)


def _module(name: str) -> LabModule:
    found = {known.lower(): module for known, module in MODULES.items()}.get(name.lower())
    if found is None:
        raise typer.BadParameter(f"There is no module {name!r}. Known are {', '.join(MODULES)}.")
    return found


def _open(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}.") from None


def _with_groups(module: LabModule, path: Path | None) -> Callable[[Any], Any]:
    """What adds its group to a raw device; nothing does where no file of groups is given."""
    if path is None:
        return lambda record: record
    if module.with_groups is None:
        raise typer.BadParameter(f"{module.name} devices bring their groups along; --groups is not for them.")
    with _open(path) as file:
        listed = list(read_records(file))
    if any(isinstance(entry, SkipRecord) for entry in listed):
        raise typer.BadParameter(f"{path} is not JSON.")
    return module.with_groups(listed)


def _json_file(path: Path) -> dict[str, Any]:
    with _open(path) as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise typer.BadParameter(f"{path} is not JSON: {error}.") from None
    if not isinstance(found, dict):
        raise typer.BadParameter(f"{path} does not hold a JSON object.")
    return found


def _configured(module: LabModule, config: Path) -> Any:
    settings = _json_file(config)
    try:
        return module.configured(settings)
    except (ModuleConfigurationError, ValidationError) as error:
        people.print(f"[red]{configuration_error(error)}[/red]", soft_wrap=True)
        raise typer.Exit(1) from None
