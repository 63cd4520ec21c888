"""The registration of Sophos; its console and its fleet have files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.registration import Floor, LabModule, page_token

if TYPE_CHECKING:
    import requests


def _login(session: requests.Session, settings: Any) -> str:
    form = {"grant_type": "client_credentials", "scope": "token"}
    form |= {name: settings[name] for name in ("client_id", "client_secret")}
    token = session.post(settings["oauth2_authorization_url"], form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    owner = session.get(f"{settings['api_host']}/whoami/v1").json()
    session.headers["X-Tenant-ID"] = owner["id"]
    return str(owner["apiHosts"]["dataRegion"]).rstrip("/")


def _next_query(_: requests.Response, body: Any) -> dict[str, Any] | None:
    """The total is asked for with the first page alone."""
    query = page_token("pageFromKey", body["pages"].get("nextKey"))
    return query and {**query, "pageTotal": None}


MODULE = LabModule(
    name="Sophos",
    published="b3f7a1c2-4e8d-4b5a-9c6f-1d2e3f4a5b6c",
    library_folder="Sophos",
    package="sophos_assets",
    prefix="Sophos",
    mapping="ENDPOINT_TO_DEVICE",
    console="lab.consoles.sophos:SimulatedSophos",
    settings_for=lambda console: {
        "client_id": console.client_id,
        "client_secret": console.client_secret,
        "api_host": console.url,
        "oauth2_authorization_url": console.login_url,
    },
    list_route="endpoints",
    size="pageSize",
    token_route="token",  # noqa: S106 - the name of a route
    endless_page={"items": [], "pages": {"nextKey": "YWdhaW4=", "size": 10, "maxSize": 100}},
    names=("hostname",),
    cursor="lastSeenAt",
    number="mdrManaged",
    last_seen="lastSeenAt",
    change={"hostname": "renamed"},
    incidents={
        "falls out of compliance": {"health": {"overall": "bad", "threats": {"status": "bad"}}},
        "is isolated": {"isolation": {"status": "isolated", "adminIsolated": True, "selfIsolated": False}},
    },
    largest_list=("macAddresses[]", "00:00:5e:00:53:01"),
    floor=Floor(
        login=_login,
        path="/endpoint/v1/endpoints",
        query={"pageSize": 100, "view": "full", "pageTotal": "true"},
        records="items",
        following=_next_query,
    ),
    times_the_floor=3.0,
    limits=((10, 1.0), (100, 60.0), (1_000, 3_600.0)),
    paced=12_000,
    longer_pages=500,
)
