"""`sekoia-lab`: the modules without the platform. Results for machines on stdout, everything for people on stderr."""

# Each command imports what it needs when it runs: the imports of all of them take seconds.

from __future__ import annotations

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer

from lab.commands.arguments import (
    ModuleConfig,
    ModuleName,
    configured,
    groups_added,
    json_object,
    module_named,
    opened,
    reported,
)
from lab.modules import MODULES, device_modules
from lab.packaging.release import Part
from lab.terminal import for_people, readable, say
from shared.errors import ConnectorError, SkipRecord
from shared.masking import shown

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help=__doc__,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # its boxes cut long names and break paths
)
people = for_people()


def main() -> None:
    """Entry point. SIGTERM ends it as Ctrl-C does, so that no module that it started runs on."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


@app.command(short_help="Run every module against a simulated console.")
def demo(
    devices: Annotated[int, typer.Option(min=1, help="Devices (or alerts) in each simulated console.")] = 500,
    out: Annotated[Path, typer.Option(help="Where sent.jsonl, report.html and the state go.")] = Path(".lab/demo"),
    changes: Annotated[bool, typer.Option("--changes", help="Let the fleets change, and run the triggers.")] = False,
) -> None:
    """Run the modules against simulated consoles and a local platform, as the platform would run them."""
    from lab.commands import demo as demonstration

    outcomes = demonstration.run(devices, out, people, changes=changes)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


@app.command(short_help="Run one module for real.")
def run(
    module: ModuleName,
    module_config: ModuleConfig,
    connector_config: Annotated[Path, typer.Option("--connector-config", help="JSON file with the arguments.")],
    data: Annotated[Path | None, typer.Option(help="Where the state is kept between runs.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop after one round.")] = False,
    out: Annotated[Path | None, typer.Option(help="JSON lines of what was sent; else stdout.")] = None,
) -> None:
    """Run one module for real, against the vendor in the configuration; the local platform receives."""
    from lab.commands.running import Following
    from lab.platform.local import LocalPlatform
    from lab.process import ModuleProcess
    from lab.report.summary import show

    chosen = module_named(module)
    settings, arguments = json_object(module_config), json_object(connector_config)
    state = data or Path(".lab") / chosen.name
    with tempfile.TemporaryDirectory() as scratch:
        sent = out or Path(scratch) / "sent.jsonl"
        with (
            LocalPlatform(out=sent) as platform,
            ModuleProcess(chosen, platform, settings, arguments, state, log=state / "module.log") as process,
        ):
            say(people, f"{chosen.name} is running; its state and log are in {readable(state)}")
            following = Following([process], platform, people)
            try:
                outcomes = following.until_round_ended()
                show(outcomes, people)
                while not once and process.exit_code is None:
                    time.sleep(0.5)
            except KeyboardInterrupt:
                say(people, "Stopping …")
                outcomes = list(following.outcomes.values())
        if out is None and sent.exists():
            sys.stdout.write(sent.read_text(encoding="utf-8"))
    if not outcomes or any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


@app.command(name="map", short_help="Map raw vendor objects.")
def map_records(
    module: ModuleName,
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="- or nothing is stdin.")] = None,
    groups: Annotated[Path | None, typer.Option(help="The vendor's groups, where devices only name their ids.")] = None,
) -> None:
    """Raw vendor objects (an object, an array or JSON lines) → one JSON line each, as it would be sent."""
    from lab.commands.records import read_records

    chosen = module_named(module)
    mapper, grouped = chosen.mapper(), groups_added(chosen, groups)
    content = sys.stdin.buffer if file is None or str(file) == "-" else opened(file)
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
                sys.stderr.write(shown(f"record {number}: {reason.field}: {reason.reason}") + "\n")
            else:
                sys.stdout.buffer.write(orjson.dumps(event) + b"\n")
    sys.stdout.flush()
    if failed:
        raise typer.Exit(1)


@app.command(short_help="Test a configuration.")
def check(module: ModuleName, module_config: ModuleConfig) -> None:
    """The "Test connector" of the UI, in words: does this configuration work?"""
    chosen = module_named(module)
    validator = chosen.validator(configured(chosen, module_config, people))
    if not validator.validate():
        say(people, ("No.", "red"), f" {validator._error}")
        raise typer.Exit(1)
    say(people, ("Yes.", "green"), f" {chosen.name} can be read with this configuration.")


@app.command(short_help="Look at what would be sent.")
def preview(
    module: ModuleName,
    module_config: ModuleConfig,
    limit: Annotated[int, typer.Option(min=1, help="Devices (or alerts) to read.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Events as JSON lines on stdout.")] = False,
) -> None:
    """Read some real devices or alerts and show what would be sent. Writes and sends nothing."""
    from lab.commands.preview import read_devices, show_devices

    chosen = module_named(module)
    with reported(people, ConnectorError):
        devices = read_devices(chosen, configured(chosen, module_config, people), limit)
    if as_json:
        for event in devices.events:
            sys.stdout.buffer.write(orjson.dumps(event) + b"\n")
        sys.stdout.flush()
    show_devices(devices, people, chosen.kind, table=not as_json)


@app.command(short_help="Measure CPU, memory and time.")
def bench(
    modules: Annotated[list[str] | None, typer.Argument(metavar="[MODULE…]", help="All when none is named.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Devices (or alerts) in each simulated console.")] = 10_000,
    latency_ms: Annotated[float, typer.Option(min=0, help="Before each answer of console and platform.")] = 0.0,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each; the best counts.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure as JSON on stdout.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Fail when a device costs too many times the floor.")] = False,
) -> None:
    """Measure CPU, memory and time next to the floor and the SDK's own loop; limits of calls are lifted."""
    from lab.commands import bench as benchmark

    chosen = [module_named(name) for name in modules or ()] or (device_modules() if check else list(MODULES.values()))
    found = benchmark.run(chosen, devices, latency_ms, repeats, people, stock=not check)
    benchmark.show(found, people)
    if as_json:
        benchmark.write_json(found)
    if check and (sentences := benchmark.too_slow(found)):
        for sentence in sentences:
            say(people, (sentence, "red"))
        raise typer.Exit(1)


@app.command(short_help="The form a customer sees, as a page.")
def form(
    module: ModuleName,
    out: Annotated[Path | None, typer.Option(help="Where the page goes; else stdout.")] = None,
) -> None:
    """The form a customer sees of a module in the UI, as one HTML page that needs no network."""
    from lab.commands import form as forms

    chosen = module_named(module)
    page = forms.render(chosen)
    if out is None:
        sys.stdout.write(page)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(page, encoding="utf-8")
        say(people, f"The form of {chosen.name} is in {readable(out)}.")


@app.command(short_help="Write a module as a repository of its own.")
def export(
    module: ModuleName,
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A folder that does not exist, or an empty one.")],
    custom: Annotated[
        bool, typer.Option("--custom/--library", help="For your Sekoia.io, or the public library.")
    ] = True,
) -> None:
    """Write a module as a repository of its own: for "Import my custom integration", or for the public library."""
    from lab.commands import export as export_command

    export_command.run(module_named(module), destination, people, custom=custom)


@app.command(short_help="Raise a module's version.")
def release(
    module: ModuleName,
    part: Annotated[Part, typer.Argument(help="Which part of the version.")] = Part.PATCH,
) -> None:
    """Raise a module's version in its manifest, Dockerfile and CHANGELOG, so that the platform restarts what runs."""
    from lab.packaging import release as releasing

    chosen = module_named(module)
    with reported(people, releasing.ReleaseError, OSError):
        version = releasing.release(chosen, part)
    say(people, f"{chosen.name} is {version}, in its manifest.json, Dockerfile and CHANGELOG.md. Commit them.")


@app.command("new-vendor", short_help="Write the skeleton of a new module.")
def new_vendor(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The vendor's, such as CrowdStrike.")],
    noun: Annotated[
        str | None, typer.Option(help="The vendor's word for a record: device, or alert, if not given.")
    ] = None,
    paging: Annotated[str, typer.Option(help="Where a page names the next: body, link (the header), offset.")] = "body",
    alerts: Annotated[bool, typer.Option("--alerts", help="A module of alerts instead of devices.")] = False,
) -> None:
    """Write the skeleton of a module, with its simulated console and its tests, into this repository."""
    from lab.packaging import new_vendor as vendors

    if paging not in [*vendors.Paging]:
        raise typer.BadParameter(f"{paging!r} is none of body, link, offset.", param_hint="--paging")
    with reported(people, vendors.NewVendorError, OSError):
        next_steps = vendors.create(name, noun, vendors.Paging(paging), alerts=alerts)
    for line in next_steps.splitlines():
        say(people, line)
