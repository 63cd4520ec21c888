"""The floor: the least a program can do that reads these pages and tells the platform of each device.

`python -m benchmarks.floor '{"module": …, "settings": …, "platform": …, "key": …, "batch": …}'`. One thread, one call
after the other, `requests` and `orjson`: it fetches the pages the module fetches, makes of each device the smallest event
the platform takes (id and name; no model, no check), posts batches of the same size, and keeps nothing. It follows no
ingestion, compares with no last time, retries nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin

import orjson
import requests

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

Body = Any
Query = dict[str, Any]


@dataclass
class Vendor:
    """`login` leaves the credential in the session and gives the origin of the data. `following` is the query of the
    next page, or its whole link, and None at the end. `beside` is a list that is read first."""

    login: Callable[[requests.Session, Any], str]
    path: str
    query: Query
    records: str
    following: Callable[[Body], Query | str | None]
    uid: str
    hostname: str
    beside: str | None = None


def _sentinelone(session: requests.Session, settings: Any) -> str:
    session.headers["Authorization"] = f"ApiToken {settings['api_token']}"
    return str(settings["hostname"])


def _harfanglab(session: requests.Session, settings: Any) -> str:
    session.headers["Authorization"] = f"Token {settings['api_token']}"
    return str(settings["url"])


def _eset(session: requests.Session, settings: Any) -> str:
    form = {"grant_type": "password", "username": settings["username"], "password": settings["password"]}
    token = session.post(f"{settings['authentication_url']}/oauth/token", form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return str(settings["api_url"])


def _sophos(session: requests.Session, settings: Any) -> str:
    form = {"grant_type": "client_credentials", "scope": "token"}
    form |= {name: settings[name] for name in ("client_id", "client_secret")}
    token = session.post(settings["oauth2_authorization_url"], form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    told = session.get(f"{settings['api_host']}/whoami/v1").json()
    session.headers["X-Tenant-ID"] = told["id"]
    return str(told["apiHosts"]["dataRegion"]).rstrip("/")


def _cursor(name: str, told: str | None) -> Query | None:
    return {name: unquote(told) if "%" in told else told} if told else None


def _later(query: Query | None) -> Query | None:
    """The total is asked for with the first page alone."""
    return query and {**query, "pageTotal": None}


VENDORS = {
    "SentinelOne": Vendor(
        _sentinelone,
        "/web/api/v2.1/agents",
        {"limit": 1000, "sortBy": "id", "sortOrder": "asc"},
        "data",
        lambda body: _cursor("cursor", body["pagination"]["nextCursor"]),
        "uuid",
        "computerName",
    ),
    "HarfangLab": Vendor(
        _harfanglab,
        "/api/data/endpoint/Agent/",
        {"limit": 1000, "offset": 0, "ordering": "firstseen"},
        "results",
        lambda body: body["next"],
        "id",
        "hostname",
    ),
    "ESET": Vendor(
        _eset,
        "/v1/devices",
        {"pageSize": 1000},
        "devices",
        lambda body: _cursor("pageToken", body.get("nextPageToken")),
        "uuid",
        "displayName",
        beside="/v1/device_groups",
    ),
    "Sophos": Vendor(
        _sophos,
        "/endpoint/v1/endpoints",
        {"pageSize": 100, "view": "full", "pageTotal": "true"},
        "items",
        lambda body: _later(_cursor("pageFromKey", body["pages"].get("nextKey"))),
        "id",
        "hostname",
    ),
}


def run(vendor: Vendor, settings: Any, platform: str, key: str, batch: int) -> None:
    """One walk."""
    session, intake = requests.Session(), requests.Session()
    session.trust_env = intake.trust_env = False  # the proxies of this machine are no part of the floor
    intake.headers.update({"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    origin = vendor.login(session, settings)
    if vendor.beside:
        orjson.loads(session.get(origin + vendor.beside, params={"pageSize": 1000}).content)
    events: list[dict[str, Any]] = []
    link, query = origin + vendor.path, dict(vendor.query)
    while True:
        body = orjson.loads(session.get(link, params=query).content)
        for record in body[vendor.records]:
            if isinstance(record, dict):
                device = {"uid": record.get(vendor.uid), "hostname": record.get(vendor.hostname)}
                events.append({**EVENT, "device": {**device, "type": "Unknown", "type_id": 0}})
            if len(events) == batch:
                _post(intake, platform, events)
                events = []
        following = vendor.following(body)
        if following is None:
            break
        if isinstance(following, str):
            link, query = urljoin(link, following), {}
        else:
            query = {**vendor.query, **following}
    if events:
        _post(intake, platform, events)


def _post(intake: requests.Session, platform: str, events: list[dict[str, Any]]) -> None:
    intake.post(platform, data=orjson.dumps({"version": 1, "items": events})).raise_for_status()


if __name__ == "__main__":
    told = orjson.loads(sys.argv[1])
    run(VENDORS[told["module"]], told["settings"], told["platform"], told["key"], told["batch"])
