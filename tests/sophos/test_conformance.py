"""The suite every vendor inherits, with its part on fetched tokens, for Sophos."""

from __future__ import annotations

from typing import Any

from lab.modules import MODULES
from tests.conformance import TokenConformance


class TestSophos(TokenConformance):
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
