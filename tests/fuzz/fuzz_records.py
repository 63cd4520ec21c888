"""`make fuzz`: any bytes as a reply's body, through the parsing, each client's pages and each module's mapper.

Whatever comes must work or be refused in words: a `ConnectorError` (of which SkipRecord is one), or the ValueError of a
body that is no JSON. Anything else is a crash, and stays in .lab/fuzz-crash-…. The corpus is made of the payloads of the
golden tests: each as a record, and inside a page of each vendor.
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import atheris
import orjson
from requests import Response

with atheris.instrument_imports(include=["shared"]):
    from lab.modules import MODULES, LabModule, device_modules
    from tests.endless import with_texts

with atheris.instrument_imports(include=["shared", *(module.package for module in MODULES.values())]):
    for module in MODULES.values():
        module.classes()
        module.table()

    from shared.alerts.intake import fitting, to_json
    from shared.devices.polling import WHOLE
    from shared.errors import ConnectorError
    from shared.http import body
    from shared.http.oauth import token_of
    from shared.http.pages import Page
    from shared.http.selection import selection
    from shared.http.session import ApiSession, Patience, Reply
    from shared.mapping import ocsf
    from shared.mapping.table import readable
    from shared.state.fingerprints import fingerprint, key_of

ROOT = Path(__file__).resolve().parents[2]
DEVICES = {module: (module.mapper(), selection(module.connector.paths())) for module in device_modules()}
ALERTS = [module for module in MODULES.values() if module not in DEVICES]
RAW = SimpleNamespace(configuration=SimpleNamespace(event_format="raw"))
MAX_PAGES = 6
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**64), 10**400, 1.5, -0.0, 1e308, math.nan, math.inf, "", " ", "0", "-1",
    "null", "true", "None", "9" * 5000, "²", "٣", "\0", "\ud800", "é", "x" * 70_000, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00", "2024-02-30T00:00:00Z", "2024-01-07T06:26:08,668 +0100", "2024/01/07 06:26:08", "00:00:00:00:00:00",
    "aa-bb-cc-dd-ee-ff", "10.0.0.1/24", "fe80::1%eth0", "::ffff:1.2.3.4", "https://api.example.com/x?a=b", "//elsewhere/", "https://[", "/?",
    "http://api.example.com:99999/", "%zz", [], {}, [[]], [None], [{}], {"": ""},
)  # fmt: skip


class Replayed(ApiSession):
    """Answers each call with the same JSON; a path that leads elsewhere is refused, as for real."""

    body: Any = None

    def call(self, method: str, path: str, **options: Any) -> Reply:
        reply = Reply(self.who, _response(self.url(path)), b"")
        reply.json = Replayed.body
        return reply


def _response(url: str) -> Response:
    response = Response()
    response.status_code, response.url = 200, url
    return response


def client_of(module: LabModule) -> Any:
    """The module's client, as its connector makes it from settings."""
    with module.simulated(0) as console:
        settings = module.configured(module.settings_for(console)).configuration
    return module.connector.connect(settings, stop=Event(), patience=Patience())


def refused(run: Callable[[], object]) -> None:
    """Run what may refuse in words; everything else it raises is a find."""
    try:
        run()
    except ConnectorError as error:
        str(error).encode()  # it is logged


def walk(pages: Iterator[Page]) -> None:
    for page in islice(pages, MAX_PAGES):
        assert isinstance(page.records, list)


def device(mapper: Any, record: Any) -> None:
    event = mapper(record)
    key_of(event["device"]["uid"])
    fingerprint(event)
    ocsf.validate(event)
    orjson.dumps(event)


def alert(module: LabModule, record: Any) -> None:
    known = readable(record)
    fitting(known, partial(module.connector.event_of, RAW))
    fitting(known, module.mapper())
    to_json(known)
    module.connector.version(record)
    if isinstance(record, dict):
        module.connector.updated_at(record)


def cursor(module: LabModule, record: Any) -> None:
    """The cursor value of a record, which no table guards."""
    cursor_of = module.connector.walk(_Pages(), None, WHOLE).cursor_of
    if cursor_of is not None and isinstance(record, dict):
        cursor_of(record)


class _Pages:
    """A client whose pages are not asked for."""

    def __getattr__(self, _: str) -> Callable[..., Iterator[Page]]:
        return lambda *_, **__: iter(())


def pages(module: LabModule, client: Any) -> None:
    if module in ALERTS:
        refused(lambda: walk(module.connector.pages(client, 0, 1)))
        return
    refused(lambda: module.connector.scopes(client))
    refused(lambda: walk(module.connector.walk(client, None, WHOLE).pages))


def one(data: bytes) -> None:
    try:
        Replayed.body = body.parse(data)
    except ValueError:
        return
    for module, client in CLIENTS:
        pages(module, client)
    refused(lambda: token_of("Vendor", Replayed.body, 60.0))
    records = records_in(Replayed.body)
    for module in ALERTS:
        for record in records:
            refused(lambda record=record, module=module: alert(module, record))
    for module, (mapper, parse) in DEVICES.items():
        grouped = module.with_groups(records) if module.with_groups else id
        for record in (*records, *records_in(parse(data))):
            grouped(record)
            cursor(module, record)
            refused(lambda mapper=mapper, record=record: device(mapper, record))


def records_in(told: Any) -> list[Any]:
    lists = [value for value in told.values() if isinstance(value, list)] if isinstance(told, dict) else [told]
    return [told, *(record for rows in lists if isinstance(rows, list) for record in rows[:5])]


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Half of the time a value of the JSON is replaced by an odd one or one from elsewhere in it: letters that change
    at random seldom leave it readable."""
    chance = random.Random(seed)
    try:
        told = json.loads(data)
        slots = list(_slots(told)) if isinstance(told, dict | list) else []
        if slots and chance.random() < 0.5:
            for _ in range(chance.randint(1, 4)):
                holder, key = chance.choice(slots)
                other, name = chance.choice(slots)
                odd = chance.choice(ODD)
                holder[key] = chance.choice((odd, [odd], {str(name): odd}, json.loads(json.dumps(other[name]))))
            return json.dumps(told).encode()[:most]
    except (ValueError, RecursionError):  # no JSON, or too deep for these functions
        pass
    return bytes(atheris.Mutate(data, most))


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON value: what holds it, and its key or index."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, dict | list):
            yield from _slots(item)


def corpus(folder: Path) -> None:
    """Each golden payload as a record and in a page of each vendor's form."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "tests").glob("*/payloads/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))["record"]
        name = f"{path.parts[-3]}-{path.stem}"
        (folder / name).write_text(json.dumps(record), encoding="utf-8")
        for module in MODULES.values():
            last = json.dumps(with_texts(module.endless_page, lambda _: None))
            page = last.replace("[]", f"[{json.dumps(record)}]")
            (folder / f"{name}-{module.name}").write_text(page, encoding="utf-8")
    for depth in (250, 900, 1020, 5000):  # what orjson writes, what it reads, what `json` reads
        for number, (left, right) in enumerate((("[", "]"), ('{"a":', "}"), ('{"id":"1","uuid":"1","a":', "}"))):
            deep = left * depth + "1" + right * depth
            (folder / f"deep-{depth}-{number}").write_text(deep, encoding="utf-8")
            (folder / f"deep-{depth}-{number}-nan").write_text(deep.replace("1]", "NaN]").replace("1}", "NaN}"))
            (folder / f"deep-{depth}-{number}-page").write_text(f'{{"data":[{deep}],"objects":[{deep}],"meta":{{}}}}')


if __name__ == "__main__":
    CLIENTS = [(module, client_of(module)) for module in MODULES.values()]
    ApiSession.call = Replayed.call
    corpus(ROOT / ".lab" / "fuzz-corpus")
    atheris.Setup(sys.argv, one, custom_mutator=mutated)
    atheris.Fuzz()
