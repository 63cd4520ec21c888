"""Sophos Central: the OAuth2 token, whoami v1, the tenants of partners and organizations, endpoint API v1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from pyrate_limiter import RequestRate

from shared.errors import ActionNeeded, UnexpectedReply
from shared.http.body import BrokenObject
from shared.http.pages import Listing, Pages, PageSize, collect, follow
from shared.http.paging import by_field, by_number
from shared.http.selection import selection
from shared.http.session import ApiSession
from shared.http.urls import sibling
from shared.mapping.conversions import nested_object, to_string
from shared.times import iso

ENDPOINTS = Listing(
    "/endpoint/v1/endpoints",
    records="items",
    next_page=by_field("pages.nextKey", "pageFromKey", pageTotal=None),  # the total is counted once a walk
    size="pageSize",
    total="pages.items",
    max_size="pages.maxSize",
    any_size=True,
)
TENANTS = Listing(
    "", records="items", next_page=by_number("page", "pages.total"), size="pageSize", total="pages.items", held=True
)
_CALLS = {1: 10, 60: 100, 3_600: 1_000, 86_400: 200_000}  # seconds → calls of a credential, all tenants together
RATES = [RequestRate(calls, seconds) for seconds, calls in _CALLS.items()]
ADVICE = {
    401: "Check the Client ID and the Client Secret; create a new API credential if this one expired or was deleted.",
    403: 'Give the credential the role "Service Principal ReadOnly"; a partner\'s also needs Partner Assistance.',
    404: "Check the API Host and the OAuth2 authorization URL; the defaults are right for nearly everyone.",
}


class Tenant(NamedTuple):
    """`own`: the credential was created in this tenant. `api_host` is None until the tenant is provisioned."""

    id: str
    api_host: str | None
    name: str | None = None
    own: bool = False


class SophosClient:
    """Reads tenants and their endpoints, of each the fields at the `paths`. Knows URLs and pages, nothing of OCSF."""

    PAGE_SIZE = 100  # safe with view=full: the vendor's documents contradict each other on the maximum
    LONGEST = 500  # the maximum of other views; used once a page reports that it may be as long

    def __init__(self, central: ApiSession, page_size: int | None = None, *, paths: Iterable[str] = ()) -> None:
        self._central = central
        self._size = PageSize(page_size or self.PAGE_SIZE, longest=0 if page_size else self.LONGEST)
        self._parse = selection(paths)
        self._tenants: dict[str, Tenant] = {}

    def tenants(self) -> list[Tenant]:
        """The credential's own tenant, or those of its partner or organization, each once.

        ActionNeeded when none of them can be read, or when the credential is of a kind unknown here.
        """
        who, reply = self._central.who, self._central.call("GET", "/whoami/v1").json
        body = reply if isinstance(reply, dict) else {}
        kind, own = body.get("idType"), _identifier(body.get("id"), who)
        if kind == "tenant":
            found = [Tenant(own, to_string(nested_object(body, "apiHosts").get("dataRegion")), own=True)]
        elif kind in ("partner", "organization"):
            listing = replace(TENANTS, path=f"/{kind}/v1/tenants")
            call = partial(self._central.call, headers={f"X-{kind.title()}-ID": own})
            pages = follow(self._central, listing, {"page": 1, "pageTotal": "true"}, PageSize(50), call=call)
            found = list(collect(who, pages, partial(_tenant, who)).values())
        else:
            raise ActionNeeded(
                f"{who} reports a kind of credential that is not known here. Create one in a tenant, and enter it."
            )
        if not any(tenant.api_host for tenant in found):
            raise ActionNeeded(
                f"{who} names no provisioned tenant for this {kind} credential, so there is nothing to read. Check in "
                "Sophos Central that the tenant is active, or create the credential in the tenant to be read."
            )
        self._tenants = {"" if tenant.own else tenant.id: tenant for tenant in found}
        return found

    def endpoints(self, tenant_id: str = "", seen_since: float | None = None) -> Pages:
        """Pages of a tenant's endpoints: those seen at or after `seen_since` (epoch seconds), else all; in no order.

        "" is the credential's own tenant. With the filter, endpoints that were never seen are missing, and so are those
        changed in Central without a check-in. Raises, before the token is sent, if the data region's host is not
        allowed.
        """
        if not self._tenants:
            self.tenants()
        tenant = self._tenants[tenant_id]
        region = sibling(self._central.who, tenant.api_host or "", self._central.base_url)
        call = partial(self._central.elsewhere(region).call, headers={"X-Tenant-ID": tenant.id})
        query = {"pageTotal": "true"} if seen_since is None else {"lastSeenAfter": iso(seen_since)}
        query["view"] = "full"
        name = partial(_name_tenant, tenant.name) if tenant.name else None
        return follow(self._central, ENDPOINTS, query, self._size, call=call, parse=self._parse, complete=name)


def _tenant(who: str, item: Any) -> tuple[str, Tenant]:
    fields = item if isinstance(item, dict) else {}
    uid, name = _identifier(fields.get("id"), who), to_string(fields.get("name")) or to_string(fields.get("showAs"))
    if isinstance(item, BrokenObject):  # each endpoint would be one, too
        name = None
    return uid, Tenant(uid, to_string(fields.get("apiHost")), name)


def _name_tenant(name: str, endpoint: Any) -> None:
    if isinstance(endpoint, dict):
        endpoint["tenant"] = {**nested_object(endpoint, "tenant"), "name": name}


def _identifier(value: Any, who: str) -> str:
    """An id that is safe in a header and in a file's name."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9-]{1,64}", value):
        raise UnexpectedReply(f"{who} named a tenant, partner or organization without a usable id; nothing was read.")
    return value
