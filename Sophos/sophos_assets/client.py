"""Sophos Central: the OAuth2 token, whoami v1, the tenants of partners and organizations, endpoint API v1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pyrate_limiter import RequestRate

from shared.errors import ActionNeeded, UnexpectedReply
from shared.http.pages import Page, Pages, follow, next_position, paging_of, records_of
from shared.http.selection import selection
from shared.http.session import ApiSession, Reply
from shared.http.urls import sibling
from shared.mapping.conversions import count, part, text
from shared.times import iso

TENANT_NAME = "tenantName"  # put into the endpoints of a named tenant; Sophos uses no such key
ENDPOINTS = "/endpoint/v1/endpoints"
_CALLS = {1: 10, 60: 100, 3_600: 1_000, 86_400: 200_000}  # in so many seconds, of a credential: its tenants share them
RATES = [RequestRate(calls, seconds) for seconds, calls in _CALLS.items()]
ADVICE = {
    401: "Check the Client ID and the Client Secret; create a new API credential if this one expired or was deleted.",
    403: 'Give the credential the role "Service Principal ReadOnly"; a partner\'s also needs Partner Assistance.',
    404: "Check the API Host and the OAuth2 authorization URL; the defaults are right for nearly everyone.",
}


class Tenant(NamedTuple):
    """`own`: the credential was created in it. `api_host` is None until the tenant is provisioned."""

    id: str
    api_host: str | None
    name: str | None = None
    own: bool = False


class SophosClient:
    """Reads tenants and their endpoints, of these what lies on the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 100  # the most that is safe with view=full: the vendor's documents contradict each other
    MOST = 500  # of other views, as documented; asked for once a page of ours told that it may be as long

    def __init__(self, central: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._central = central
        self._page_size, self._most = page_size or self.PAGE_SIZE, page_size or self.MOST
        self._parse = selection(paths)
        self._tenants: dict[str, Tenant] = {}

    def tenants(self) -> list[Tenant]:
        """The credential's own tenant, or those of its partner or organization, each once.

        ActionNeeded when none of them can be read, or when the credential is of a kind unknown here.
        """
        who, reply = self._central.who, self._central.get("/whoami/v1").json
        told = reply if isinstance(reply, dict) else {}
        kind, own = told.get("idType"), _identifier(told.get("id"), who)
        if kind == "tenant":
            found = [Tenant(own, text(part(told, "apiHosts").get("dataRegion")), own=True)]
        elif kind in ("partner", "organization"):
            found = list({tenant.id: tenant for tenant in self._tenants_of(kind, own)}.values())
        else:
            raise ActionNeeded(f"{who} names a kind of credential unknown here. Create one in a tenant, and enter it.")
        if not any(tenant.api_host for tenant in found):
            raise ActionNeeded(
                f"{who} names no provisioned tenant for this {kind} credential, so there is nothing to read. Check in "
                "Sophos Central that the tenant is active, or create the credential in the tenant to be read."
            )
        self._tenants = {"" if tenant.own else tenant.id: tenant for tenant in found}
        return found

    def _tenants_of(self, kind: str, own: str) -> Iterator[Tenant]:
        """Page by page, by number from 1. `total` counts the pages; without it an empty page is the end."""
        who = self._central.who

        def ask(number: int | None) -> Reply:
            query = {"page": number or 1, "pageSize": 50, "pageTotal": "true"}
            return self._central.get(f"/{kind}/v1/tenants", query, **{f"X-{kind.title()}-ID": own})

        def following(body: Any, number: int | None) -> int | None:
            number, total = number or 1, paging_of(who, body, "pages").get("total")
            return number + 1 if (number < total if isinstance(total, int) else body["items"]) else None

        for page in follow(self._central, ask, lambda reply, _: Page(records_of(who, reply.json, "items")), following):
            for item in page.records:
                told = item if isinstance(item, dict) else {}
                name = text(told.get("name")) or text(told.get("showAs"))
                yield Tenant(_identifier(told.get("id"), who), text(told.get("apiHost")), name)

    def endpoints(self, tenant_id: str = "", seen_since: float | None = None) -> Pages:
        """Pages of a tenant's endpoints: those seen at or after `seen_since` (epoch seconds), else all; in no order.

        "" is the credential's own tenant. Only without the filter come endpoints never seen, and those changed in
        Central without a check-in. Raises, unsent, when the tenant's data region is no place for the token.
        """
        if not self._tenants:
            self.tenants()
        tenant, who = self._tenants[tenant_id], self._central.who
        session = self._central.elsewhere(sibling(who, tenant.api_host or "", self._central.base_url))
        query = {"view": "full", "lastSeenAfter": None if seen_since is None else iso(seen_since)}  # None is not sent

        def ask(key: str | None) -> Reply:
            page_query = {**query, "pageSize": self._page_size, "pageFromKey": key}  # the key does not hold the filters
            try:
                return session.ask("GET", ENDPOINTS, params=page_query, headers={"X-Tenant-ID": tenant.id})
            except UnexpectedReply as error:
                if error.status != 400 or self._page_size <= self.PAGE_SIZE:
                    raise
            self._page_size = self._most = self.PAGE_SIZE  # a longer page is not allowed, whatever was told
            return ask(key)

        def read(reply: Reply, _: str | None) -> Page:
            records = records_of(who, reply.json, "items")
            for endpoint in records if tenant.name else ():
                if isinstance(endpoint, dict):
                    endpoint[TENANT_NAME] = tenant.name
            return Page(records, reply.date)

        def following(body: Any, _: str | None) -> str | None:  # the size of a page does not tell whether there is more
            pages = paging_of(who, body, "pages")
            self._page_size = max(self._page_size, min(count(pages.get("maxSize")) or 0, self._most))
            return next_position(who, pages.get("nextKey"))

        return follow(session, ask, read, following, "items", self._parse)


def _identifier(value: Any, who: str) -> str:
    """An id that can stand in a header and in a file's name."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        raise UnexpectedReply(f"{who} named a tenant, partner or organization without a usable id; nothing was read.")
    return value
