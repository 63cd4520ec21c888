"""The suite every vendor inherits, for HarfangLab."""

from __future__ import annotations

from lab.modules import MODULES
from tests.conformance import DeviceConnectorConformance


class TestHarfangLab(DeviceConnectorConformance):
    lab_module = MODULES["HarfangLab"]
    list_route = "agents"
    name_fields = ("hostname",)
    id_fields = ("id",)
    change = {"hostname": "renamed", "domainname": "MOVED"}
    page_without_end = {
        "count": 0,
        "next": "/api/data/endpoint/Agent/?limit=10&offset=10&ordering=firstseen",
        "previous": None,
        "results": [],
    }
