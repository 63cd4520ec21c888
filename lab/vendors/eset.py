"""The registration of ESET; its console and its fleet have files of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from lab.registration import Floor, LabModule, page_token

if TYPE_CHECKING:
    import requests


def _login(session: requests.Session, settings: Any) -> str:
    form = {"grant_type": "password", "username": settings["username"], "password": settings["password"]}
    token = session.post(f"{settings['authentication_url']}/oauth/token", form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return str(settings["api_url"])


def _with_groups(listed: Iterable[Any]) -> Callable[[Any], Any]:
    """`listed`: groups, or answers of `/v1/device_groups`, which hold some."""
    from eset_assets.client import named_group, with_group

    groups = dict(filter(None, map(named_group, chain.from_iterable(map(_groups_in, listed)))))
    return lambda device: with_group(device, groups)


def _groups_in(entry: Any) -> list[Any]:
    held = entry.get("deviceGroups") if isinstance(entry, dict) else None
    return held if isinstance(held, list) else [entry]


MODULE = LabModule(
    name="ESET",
    published="bbc218bf-9cf4-4d77-8938-47cebe86801f",
    library_folder="Eset",
    package="eset_assets",
    prefix="Eset",
    mapping="ESET_TO_DEVICE",
    console="lab.consoles.eset:SimulatedEset",
    settings_for=lambda console: {
        "region": "eu",
        "username": console.username,
        "password": console.password,
        "authentication_url": console.url,
        "api_url": console.url,
    },
    list_route="devices",
    size="pageSize",
    token_route="token",  # noqa: S106 - the name of a route
    endless_page={"devices": [], "nextPageToken": "again"},
    ids=("uuid",),
    names=("displayName", "originalDisplayName"),
    number="functionalityProblemCount",
    last_seen="lastSyncTime",
    reports_total=False,
    change={"displayName": "renamed", "description": "moved"},
    incidents={
        "is handed to someone else": {"description": "Pool device, handed out at the front desk"},
        "gets another address": {"primaryLocalIpAddress": "192.0.2.77"},
    },
    largest_list=("hardwareProfiles[].networkAdapters[]", {"caption": "eth0"}),
    floor=Floor(
        login=_login,
        path="/v1/devices",
        query={"pageSize": 1000},
        records="devices",
        following=lambda _, body: page_token("pageToken", body.get("nextPageToken")),
        first="/v1/device_groups",
    ),
    times_the_floor=2.5,
    limits=((10, 1.0),),
    with_groups=_with_groups,
)
