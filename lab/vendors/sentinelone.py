"""The registration of SentinelOne; its console and its fleet have files of their own."""

from __future__ import annotations

from lab.registration import Floor, LabModule, fixed_token, page_token

MODULE = LabModule(
    name="SentinelOne",
    published="f47ac10b-58cc-4372-a567-0e02b2c3d479",
    library_folder="SentinelOne",
    package="sentinelone_assets",
    prefix="SentinelOne",
    mapping="AGENT_TO_DEVICE",
    console="lab.consoles.sentinelone:SimulatedSentinelOne",
    settings_for=lambda console: {"hostname": console.url, "api_token": console.token},
    list_route="agents",
    endless_page={"data": [], "pagination": {"nextCursor": "YWdhaW4%3D", "totalItems": 0}},
    ids=("uuid", "id"),
    names=("computerName",),
    cursor="updatedAt",
    number="totalMemory",
    last_seen="lastActiveDate",
    change={"computerName": "renamed", "siteName": "moved"},
    incidents={
        "reports an infection": {"infected": True, "activeThreats": 2},
        "is renamed": {"computerName": "RENAMED-PC"},
    },
    largest_list=("networkInterfaces[]", {"name": "eth0", "id": "1"}),
    floor=Floor(
        login=fixed_token("ApiToken", "api_token", "hostname"),
        path="/web/api/v2.1/agents",
        query={"limit": 1000, "sortBy": "id", "sortOrder": "asc"},
        records="data",
        following=lambda _, body: page_token("cursor", body["pagination"]["nextCursor"]),
    ),
    times_the_floor=2.0,
    limits=((25, 1.0),),
)
