"""The registration of HarfangLab; its console and its fleet have files of their own."""

from __future__ import annotations

from lab.registration import Floor, LabModule, fixed_token

MODULE = LabModule(
    name="HarfangLab",
    published="f7da3627-6016-415d-9885-231e1455a7a5",
    library_folder="HarfangLab",
    package="harfanglab_assets",
    prefix="HarfangLab",
    mapping="AGENT_TO_DEVICE",
    console="lab.consoles.harfanglab:SimulatedHarfangLab",
    settings_for=lambda console: {"url": console.url, "api_token": console.token},
    list_route="agents",
    endless_page={"next": "/api/data/endpoint/Agent/?limit=10&offset=10&ordering=firstseen", "results": []},
    names=("hostname",),
    first_seen="firstseen",
    number="cpu_frequency",
    last_seen="lastseen",
    change={"hostname": "renamed", "domainname": "MOVED"},
    incidents={
        "loses its policy": {"policy": None},
        "moves into another domain": {"domainname": "BRANCH"},
    },
    floor=Floor(
        login=fixed_token("Token", "api_token", "url"),
        path="/api/data/endpoint/Agent/",
        query={"limit": 1000, "offset": 0, "ordering": "firstseen"},
        records="results",
        following=lambda _, body: body["next"],
    ),
    times_the_floor=1.5,
)
