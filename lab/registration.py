"""All facts about a module that lab, tests, benchmarks and fuzzing need. The registrations are in `lab/vendors/`.

A command that concerns one module imports that module's code, and only the part that it uses: classes, table and
console are imported when they are asked for. What the folder's JSON files say needs no import.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from lab.kinds import ALERTS, DEVICES, Kind
from lab.paths import with_values

if TYPE_CHECKING:
    import requests
    from sekoia_automation.module import Module

    from lab.platform.server import LocalServer
    from shared.alerts.connector import EventConnector
    from shared.devices.inventory import DeviceConnector
    from shared.devices.playbooks import DeviceChanges
    from shared.mapping.table import Field, Mapper
    from shared.runtime.connection_test import ConnectionTest

Query = dict[str, Any]


class Classes(NamedTuple):
    """The classes that a module's `main.py` registers. `changes` is the trigger that starts playbooks, where there is one."""

    module: type[Module]
    connector: type[DeviceConnector] | type[EventConnector]
    validator: type[ConnectionTest]
    changes: type[DeviceChanges] | None = None


@dataclass(frozen=True)
class Floor:
    """How the simplest program reads the vendor's list (benchmarks/floor.py).

    `login` puts the credential into the session and returns the origin of the list; `records` is the key of the list in
    the body, "" if the body is the list; `following` returns the query of the next page or its link, None at the end;
    `first` is the path of a list that is read before.
    """

    login: Callable[[requests.Session, Any], str]
    path: str
    query: Query
    records: str
    following: Callable[[requests.Response, Any], Query | str | None]
    first: str | None = None


def fixed_token(scheme: str, token: str, origin: str) -> Callable[[requests.Session, Any], str]:
    """The `login` of a vendor whose token the customer enters; `token` and `origin` are the names of settings."""

    def login(session: requests.Session, settings: Any) -> str:
        session.headers["Authorization"] = f"{scheme} {settings[token]}"
        return str(settings[origin])

    return login


def page_token(name: str, token: str | None) -> Query | None:
    """The query with a page token, decoded where it is percent-encoded; None without one."""
    return {name: unquote(token) if "%" in token else token} if token else None


@dataclass(frozen=True, eq=False)
class LabModule:
    """One module. Fields of a record are dotted paths (`profile.displayName`), and lists are not entered.

    The code. `package` is the import name of the vendor's package, in which the names of classes begin with `prefix` and
    `mapping` is the table in `mapper.py`; `console` is the class of the simulated console, `settings_for` returns the
    settings for a started one.

    The list. `list_route` and `token_route` are the console's routes that list records and hand out tokens (None where
    the customer enters the token), `size` the parameter of the records in a page; `reports_total` says whether the list
    comes with the number of its rows; after a status in `renewed` one new token is tried. `endless_page` is the body (and
    `endless_headers` the headers) of a page without records that names another one, by the only string in it; a list that
    is read by offsets has none.

    A record. `ids` are the fields of its identity, in the order in which the first one present is sent as the uid, and
    `names` those of its name; `cursor` is the time by which changes are listed, if the vendor has one, `first_seen` the
    time of its creation where the list may miss rows, `last_seen` that of its last activity. `number` is a field that the
    table reads as a number, or as any value: the demo makes it NaN. `change` and each of `incidents` are fields that make
    the device another one. `largest_list` is a list in the record, as a path with `[]`, and an entry of it.

    The speed. `floor`, and how many times its CPU a device of a large fleet may cost (`times_the_floor`);
    `limits` are (calls, seconds) that the vendor allows, `paced` the number of devices that takes about 100 calls, and
    `longer_pages` the records of a page where the vendor documents a second, larger limit.

    The publication. `published` is the connector's uuid on the documentation page of the published one, `library_folder`
    its folder in the public automation library, where there is one.
    `with_groups`, where devices hold their group's id only: the groups, as the vendor lists them → a function that adds
    its group to a raw device, as the client does.
    """

    name: str
    package: str
    prefix: str
    mapping: str
    console: str
    settings_for: Callable[[Any], dict[str, Any]]
    list_route: str
    endless_page: Any
    size: str = "limit"
    endless_headers: Mapping[str, str] = field(default_factory=dict)
    token_route: str | None = None
    renewed: tuple[str, ...] = ("401",)
    ids: tuple[str, ...] = ("id",)
    names: tuple[str, ...] = ()
    cursor: str | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    reports_total: bool = True
    number: str | None = None
    change: Mapping[str, Any] = field(default_factory=dict)
    incidents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    largest_list: tuple[str, Any] = ("entries[]", "entry")
    floor: Floor | None = None
    times_the_floor: float = 4.0
    limits: tuple[tuple[int, float], ...] = ()
    paced: int = 100_000
    longer_pages: int | None = None
    published: str | None = None
    library_folder: str | None = None
    with_groups: Callable[[Iterable[Any]], Callable[[Any], Any]] | None = None

    def classes(self) -> Classes:
        """By their names, which begin with `prefix`."""
        connector = vars(_imported(f"{self.package}.connector"))
        return Classes(
            getattr(_imported(f"{self.package}.settings"), f"{self.prefix}Module"),
            connector.get(f"{self.prefix}DeviceConnector") or connector[f"{self.prefix}Connector"],
            getattr(_imported(f"{self.package}.validator"), f"{self.prefix}AccountValidator"),
            connector.get(f"{self.prefix}DeviceChanges"),
        )

    def table(self) -> tuple[Field, ...]:
        """The mapping table; nothing of the connector is imported for it."""
        rows: tuple[Field, ...] = getattr(_imported(f"{self.package}.mapper"), self.mapping)
        return rows

    def simulated(self, records: int) -> LocalServer:
        """A console with this many devices or alerts, not yet started."""
        module, _, name = self.console.partition(":")
        console: Any = getattr(_imported(module), name)()
        console.has(records)
        return console  # type: ignore[no-any-return] # found by its name

    @property
    def names_next_page(self) -> bool:
        """Whether a page names the next one, so that a list can be without end."""
        return '": "' in json.dumps([self.endless_page, self.endless_headers])

    def smallest_record(self) -> dict[str, Any]:
        """A record with an identity and a name, and nothing else."""
        return with_values({}, dict.fromkeys((*self.ids[:1], *self.names[:1]), "1"))

    @property
    def module(self) -> type[Module]:
        return self.classes().module

    @property
    def connector(self) -> type[DeviceConnector] | type[EventConnector]:
        return self.classes().connector

    @property
    def validator(self) -> type[ConnectionTest]:
        return self.classes().validator

    @property
    def changes(self) -> type[DeviceChanges] | None:
        """The trigger that starts playbooks; None where there is none."""
        return self.classes().changes

    def mapper(self) -> Mapper:
        """The mapping table, ready to run."""
        from shared.mapping.table import Mapper

        return Mapper(self.table())

    @property
    def kind(self) -> Kind:
        """Whether it sends devices or alerts."""
        return DEVICES if self.connector_manifest.get("type") == "asset" else ALERTS

    @property
    def folder(self) -> Path:
        """The folder of the manifest and of the vendor's package."""
        found = find_spec(self.package)
        if found is None or found.origin is None:
            raise ModuleNotFoundError(f"{self.package} is not installed. Run: make venv")
        return Path(found.origin).parent.parent

    @cached_property
    def manifest(self) -> dict[str, Any]:
        return _read(self.folder / "manifest.json")

    @cached_property
    def connector_manifest(self) -> dict[str, Any]:
        return _read(next(self.folder.glob("connector_*.json")))

    @property
    def changes_file(self) -> Path:
        """The trigger's manifest."""
        return next(self.folder.glob("trigger_*_device_changes.json"))

    @cached_property
    def changes_manifest(self) -> dict[str, Any]:
        return _read(self.changes_file)

    @property
    def changes_command(self) -> str:
        """As `command`, of the trigger."""
        return str(self.changes_manifest["docker_parameters"])

    @property
    def command(self) -> str:
        """The word after `main.py`, by which the platform starts the connector."""
        return str(self.connector_manifest["docker_parameters"])

    @property
    def secrets(self) -> list[str]:
        """Settings of the module that the platform hands out at start only."""
        return list(self.manifest["configuration"].get("secrets", []))

    def configured(self, settings: dict[str, Any]) -> Module:
        """The module with these settings, in this process."""
        module = self.module()
        module._manifest = self.manifest  # the SDK reads it from the current directory otherwise
        module.configuration = settings
        return module


def _imported(name: str) -> Any:
    """The module, imported as by a statement: `python -X importtime`, which tests use, does not see `import_module`."""
    return __import__(name, fromlist=["anything"])


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
