"""The suites every vendor inherits, with its part on fetched tokens, for Sophos."""

from __future__ import annotations

from typing import Any

import pytest

from lab.modules import MODULES
from tests.changes_conformance import DeviceChangesConformance
from tests.conformance import DeviceConformance, TokenConformance


class SophosFacts(DeviceConformance):
    lab_module = MODULES["Sophos"]
    list_route = "endpoints"
    token_route = "token"
    cursor_field = "lastSeenAt"
    name_fields = ("hostname",)
    id_fields = ("id",)
    change = {"hostname": "renamed"}
    page_without_end = {"items": [], "pages": {"nextKey": "YWdhaW4=", "size": 10, "maxSize": 100}}

    def expire(self, console: Any) -> None:
        console.expire_tokens()


class TestSophos(SophosFacts, TokenConformance):
    pass


@pytest.mark.slow  # make test runs these for SentinelOne
class TestSophosChanges(SophosFacts, DeviceChangesConformance):
    pass
