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
from itertools import islice
from pathlib import Path
from typing import Any

import atheris
import orjson
from requests import Response

VENDORS = ["checkpoint_harmony", "eset_assets", "harfanglab_assets", "sentinelone_assets", "sophos_assets"]

with atheris.instrument_imports(include=["shared", *VENDORS]):
    from checkpoint_harmony.client import HarmonyMobileClient
    from checkpoint_harmony.connector import HarmonyMobileConnector
    from checkpoint_harmony.mapper import as_given
    from eset_assets.client import EsetClient, named_group, with_group
    from eset_assets.connector import EsetDeviceConnector
    from harfanglab_assets.client import HarfangLabClient
    from harfanglab_assets.connector import HarfangLabDeviceConnector
    from sentinelone_assets.client import SentinelOneClient
    from sentinelone_assets.connector import SentinelOneDeviceConnector
    from sophos_assets.client import SophosClient
    from sophos_assets.connector import SophosDeviceConnector

    from shared.alerts.intake import fitting, to_json
    from shared.devices.polling import WHOLE
    from shared.errors import ConnectorError
    from shared.http import body
    from shared.http.oauth import token_of
    from shared.http.pages import Page
    from shared.http.selection import selection
    from shared.http.session import ApiSession, Reply
    from shared.http.tokens import Anonymous, FetchedToken, Token
    from shared.mapping import ocsf
    from shared.mapping.table import readable
    from shared.state.fingerprints import fingerprint, key_of


ROOT = Path(__file__).resolve().parents[2]
DEVICES = [
    (connector, connector.mapper(), selection(connector.paths()))
    for connector in (
        EsetDeviceConnector,
        HarfangLabDeviceConnector,
        SentinelOneDeviceConnector,
        SophosDeviceConnector,
    )
]
ALERTS = HarmonyMobileConnector.mapper()
MAX_PAGES = 6
TOKEN = FetchedToken(lambda: Token("token", 3600.0))
PAGES = ({"data": 0}, {"items": 0, "pages": {"nextKey": None}}, {"devices": 0, "nextPageToken": ""},
         {"results": 0, "next": None, "count": 1}, {"objects": 0, "meta": {"next": None, "total_count": 1}})  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**64), 10**400, 1.5, -0.0, 1e308, math.nan, math.inf, "", " ", "0", "-1",
    "null", "true", "None", "9" * 5000, "²", "٣", "\0", "\ud800", "é", "x" * 70_000, "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-14:00", "2024-02-30T00:00:00Z", "2024-01-07T06:26:08,668 +0100", "2024/01/07 06:26:08", "00:00:00:00:00:00",
    "aa-bb-cc-dd-ee-ff", "10.0.0.1/24", "fe80::1%eth0", "::ffff:1.2.3.4", "https://api.example.com/x?a=b", "//elsewhere/", "https://[", "/?",
    "http://api.example.com:99999/", "%zz", [], {}, [[]], [None], [{}], {"": ""},
)  # fmt: skip


class Replayed(ApiSession):
    """Answers each call with the same JSON; a path that leads elsewhere is refused, as for real."""

    told: Any = None

    def call(self, method: str, path: str, **options: Any) -> Reply:
        reply = Reply(self.who, _response(self.url(path)), b"")
        reply.json = self.told
        return reply


def _response(url: str) -> Response:
    response = Response()
    response.status_code, response.url = 200, url
    return response


def session_for(told: Any) -> Replayed:
    session = Replayed("Vendor", "https://api.example.com", Anonymous())
    session.told = told
    return session


def refused(run: Callable[[], object]) -> None:
    """Run what may refuse in words; everything else it raises is a find."""
    try:
        run()
    except ConnectorError as error:
        str(error).encode()  # it is logged


def walk(pages: Iterator[Page]) -> None:
    for page in islice(pages, MAX_PAGES):
        assert isinstance(page.records, list)


def device(connector: Any, mapper: Any, record: Any) -> None:
    event = mapper(record)
    key_of(event["device"]["uid"])
    fingerprint(event)
    ocsf.validate(event)
    orjson.dumps(event)


def alert(record: Any) -> None:
    known = readable(record)
    fitting(known, as_given)
    fitting(known, ALERTS)
    to_json(known)


def place(told: Any) -> None:
    """The position of a record among the others, which no table guards."""
    HarmonyMobileConnector.key_of(told)
    if isinstance(told, dict):
        HarmonyMobileConnector.updated_at(told)
        for connector in (SentinelOneDeviceConnector, SophosDeviceConnector):
            place_of = connector.walk(_Pages(), None, WHOLE).cursor_of
            assert place_of is not None
            place_of(told)


class _Pages:
    """Stands for a client whose pages are not asked for."""

    def agents(self, *_: Any) -> Iterator[Page]:
        return iter(())

    endpoints = agents


def one(data: bytes) -> None:
    try:
        told = body.parse(data)
    except ValueError:
        return
    refused(lambda: walk(SentinelOneClient(session_for(told)).agents()))
    refused(lambda: walk(HarfangLabClient(session_for(told)).agents()))
    refused(lambda: walk(EsetClient(session_for(told)).devices()))
    refused(lambda: SophosClient(session_for(told)).tenants())
    refused(lambda: walk(SophosClient(session_for(told)).endpoints()))
    refused(lambda: walk(HarmonyMobileClient(session_for(told), TOKEN).alerts(0, 1)))
    refused(lambda: token_of("Vendor", told, 60.0))
    records = records_in(told)
    groups = dict(filter(None, map(named_group, records)))
    for record in records:
        with_group(record, groups)
        place(record)
        refused(lambda record=record: alert(record))
    for connector, mapper, parse in DEVICES:
        for record in (*records, *records_in(parse(data))):
            refused(lambda connector=connector, mapper=mapper, record=record: device(connector, mapper, record))


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
        for number, page in enumerate(PAGES):
            filled = {key: [record] if value == 0 and key != "count" else value for key, value in page.items()}
            (folder / f"{name}-{number}").write_text(json.dumps(filled), encoding="utf-8")
    for depth in (250, 900, 1020, 5000):  # what orjson writes, what it reads, what `json` reads
        for number, (left, right) in enumerate((("[", "]"), ('{"a":', "}"), ('{"id":"1","uuid":"1","a":', "}"))):
            deep = left * depth + "1" + right * depth
            (folder / f"deep-{depth}-{number}").write_text(deep, encoding="utf-8")
            (folder / f"deep-{depth}-{number}-nan").write_text(deep.replace("1]", "NaN]").replace("1}", "NaN}"))
            (folder / f"deep-{depth}-{number}-page").write_text(f'{{"data":[{deep}],"objects":[{deep}],"meta":{{}}}}')


if __name__ == "__main__":
    corpus(ROOT / ".lab" / "fuzz-corpus")
    atheris.Setup(sys.argv, one, custom_mutator=mutated)
    atheris.Fuzz()
