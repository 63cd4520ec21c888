"""The suites every vendor inherits, for HarfangLab."""

from __future__ import annotations

import pytest

from lab.modules import MODULES
from tests.changes_conformance import DeviceChangesConformance
from tests.conformance import DeviceConformance, DeviceConnectorConformance


class HarfangLabFacts(DeviceConformance):
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


class TestHarfangLab(HarfangLabFacts, DeviceConnectorConformance):
    pass


@pytest.mark.slow  # make test runs these for SentinelOne
class TestHarfangLabChanges(HarfangLabFacts, DeviceChangesConformance):
    pass
