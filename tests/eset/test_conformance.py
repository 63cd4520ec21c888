"""The suites every vendor inherits, with its part on fetched tokens, for ESET."""

from __future__ import annotations

from typing import Any

import pytest
from eset_assets.client import named_groups, with_group

from lab.modules import MODULES
from tests.changes_conformance import DeviceChangesConformance
from tests.conformance import DeviceConformance, TokenConformance


class EsetFacts(DeviceConformance):
    lab_module = MODULES["ESET"]
    list_route = "devices"
    token_route = "token"
    name_fields = ("displayName", "originalDisplayName")
    id_fields = ("uuid",)
    change = {"displayName": "renamed", "description": "moved"}
    page_without_end = {"devices": [], "nextPageToken": "again"}

    def records(self, console: Any) -> dict[str, dict[str, Any]]:
        """As the client hands them on: each with its group."""
        groups = named_groups(console.groups)
        return {uid: with_group(record, groups) for uid, record in super().records(console).items()}

    def expire(self, console: Any) -> None:
        console.expire_tokens()


class TestEset(EsetFacts, TokenConformance):
    pass


@pytest.mark.slow  # make test runs these for SentinelOne
class TestEsetChanges(EsetFacts, DeviceChangesConformance):
    pass
