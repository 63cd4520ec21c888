"""Calls to the platform by the container's own token: secrets, log lines, the result of "Test connector"."""

from __future__ import annotations

from pydantic import SecretStr
from sekoia_automation.module import ModuleItem

from shared.http.environment import bundle_to_report_with
from shared.http.session import ApiSession, Patience
from shared.http.tokens import FixedToken


def platform_session(item: ModuleItem, url: str, patience: Patience, who: str = "Sekoia.io") -> ApiSession:
    """A session for one URL, with a stop event of its own; a reply may be empty.

    It also works where the environment's bundle of authorities cannot be used: that has to be reported.
    """
    token = FixedToken("Bearer", SecretStr(item.token), "token of the platform")
    verify, empty = bundle_to_report_with(), (200, 202, 204)
    return ApiSession(who, url, token, patience=patience, verify=verify, may_be_empty=empty)
