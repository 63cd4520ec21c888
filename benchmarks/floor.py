"""The floor: the least that a program can do that reads these pages and posts each device to the platform.

`python -m benchmarks.floor '{"module": …, "settings": …, "platform": …, "key": …, "batch": …}'`. One thread, one call
after the other, `requests` and `orjson`: it fetches the pages the module fetches, makes of each device the smallest event
the platform accepts (id and name; no model, no check) and posts batches of the same size. It stores nothing, follows no
ingestion, compares with nothing, retries nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from operator import methodcaller
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import orjson
import requests

from lab.paths import value_at

if TYPE_CHECKING:
    from lab.registration import LabModule

EVENT = {
    "activity_id": 2,
    "activity_name": "Collect",
    "category_name": "Discovery",
    "category_uid": 5,
    "class_name": "Device Inventory Info",
    "class_uid": 5001,
    "type_name": "Device Inventory Info: Collect",
    "type_uid": 500102,
    "time": 0.0,
    "metadata": {"product": {"name": "floor"}, "version": "1.6.0"},
}


def run(vendor: LabModule, settings: Any, platform: str, key: str, batch: int) -> None:
    """One walk."""
    session, intake = requests.Session(), requests.Session()
    session.trust_env = intake.trust_env = False  # the proxies of this machine are no part of the floor
    intake.headers.update({"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    floor = vendor.floor
    if floor is None:
        raise ValueError(f"{vendor.name} has no floor")
    origin = floor.login(session, settings)
    if floor.first:
        orjson.loads(session.get(origin + floor.first, params={"pageSize": 1000}).content)
    uid, name = _reader(vendor.ids[0]), _reader(vendor.names[0])
    events: list[dict[str, Any]] = []
    link, query = origin + floor.path, dict(floor.query)
    while True:
        reply = session.get(link, params=query)
        body = orjson.loads(reply.content)
        for record in body[floor.records] if floor.records else body:
            if isinstance(record, dict):
                device = {"uid": uid(record), "hostname": name(record)}
                events.append({**EVENT, "device": {**device, "type": "Unknown", "type_id": 0}})
            if len(events) == batch:
                _post(intake, platform, events)
                events = []
        following = floor.following(reply, body)
        if following is None:
            break
        if isinstance(following, str):
            link, query = urljoin(link, following), {}
        else:
            query = {**floor.query, **following}
    if events:
        _post(intake, platform, events)


def _reader(path: str) -> Callable[[dict[str, Any]], Any]:
    """The value at a dotted path: a plain look-up where there is nothing to enter."""
    return methodcaller("get", path) if "." not in path else lambda record: value_at(record, path)


def _post(intake: requests.Session, platform: str, events: list[dict[str, Any]]) -> None:
    intake.post(platform, data=orjson.dumps({"version": 1, "items": events})).raise_for_status()


if __name__ == "__main__":
    options = orjson.loads(sys.argv[1])
    run(
        import_module(f"lab.vendors.{options['module'].lower()}").MODULE,
        options["settings"],
        options["platform"],
        options["key"],
        options["batch"],
    )
