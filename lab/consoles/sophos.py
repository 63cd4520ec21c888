"""Sophos Central: token, whoami, the tenants of a partner or organization, and `GET /endpoint/v1/endpoints`.

One server is the authorization server, the global API and the data region. Answers that the vendor's documents do not
describe are guesses, and marked as such.
"""

from __future__ import annotations

import functools
import secrets
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Literal

import orjson
from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.collection import Collection, Marks
from lab.consoles.console import DeviceConsole
from lab.consoles.queries import NEVER, Refused, micros
from lab.consoles.sophos_query import MOST, Query, read
from lab.fleet.hosts import iso
from lab.fleet.sophos import sophos_endpoints
from lab.platform.server import answer_json, new_secret

LOGIN_PATH = "/api/v2/oauth2/token"
CLIENT_ID = "local-sophos-client"
OWN_ID = "00000000-0000-4000-8000-000000000001"
_OWNERS = {
    "tenant": OWN_ID,
    "partner": "00000000-0000-4000-8000-0000000000aa",
    "organization": "00000000-0000-4000-8000-0000000000bb",
}

Kind = Literal["tenant", "partner", "organization"]


class SimulatedSophos(DeviceConsole):
    """Sophos Central with one credential. Routes by name: token, whoami, partner_tenants, organization_tenants,
    endpoints.

    `kind` is the owner of the credential. `tenants` maps the ids of a partner's or organization's tenants to their
    names; `region` is the data host that whoami and the tenants report, by default this server's own address in the
    form of the vendor's example (http, a slash at the end). `forbidden` are tenants that the credential may not read,
    `unprovisioned` those without an address. With `reader=False` the credential lacks the role. `longest_pages` are
    the maximum endpoints in a page, by view. Tokens are valid for `lifetime` seconds; `tokens` are the valid ones.
    """

    vendor = "Sophos"
    packed_from = 300_000

    def __init__(
        self,
        kind: Kind = "tenant",
        tenants: dict[str, str] | None = None,
        *,
        reader: bool = True,
        rate: float | None = None,
        latency: float = 0.0,
    ) -> None:
        super().__init__(rate, latency)
        self.client_id, self.client_secret = CLIENT_ID, new_secret("local-sophos-secret")
        self.kind = kind
        self.tenants = {OWN_ID: "Example Corp"} if tenants is None else tenants
        self.reader = reader
        self.region: str | None = None
        self.regions: dict[str, str] = {}  # of single tenants, where it is another
        self.forbidden: set[str] = set()
        self.unprovisioned: set[str] = set()
        self.longest_pages = dict(MOST)
        self.lifetime = 3600
        self.tokens: dict[str, float] = {}  # and until when, by time.monotonic()
        self.end_key: Any = "absent"  # the value for "no next page": null and "" were seen too
        self.route("POST", LOGIN_PATH, "token", self._token)
        self.route("GET", "/whoami/v1", "whoami", self._needs_token(self._whoami))
        for owner in ("partner", "organization"):
            view = self._needs_token(functools.partial(self._tenants, owner))
            self.route("GET", f"/{owner}/v1/tenants", f"{owner}_tenants", view)
        self.route("GET", "/endpoint/v1/endpoints", "endpoints", self._needs_token(self._list))

    @property
    def login_url(self) -> str:
        """The "OAuth2 Authorization URL" of the settings."""
        return self.url + LOGIN_PATH

    # The fleet

    def generated(self, count: int, seed: int) -> Iterable[Any]:
        """Distributed over the tenants in turn."""
        return sophos_endpoints(count, seed, self.now(), list(self.tenants) or [OWN_ID])

    def touched(self) -> dict[str, Any]:
        """A check-in, later than the one before."""
        return {"lastSeenAt": iso(self.later(timedelta(milliseconds=1)), "milliseconds")}

    def checked_in(self) -> dict[str, Any]:
        return {**self.touched(), "online": True}

    def change_silently(self, endpoint_id: str, **fields: Any) -> None:
        """Change fields in Central, without a check-in: `lastSeenAt` stays."""
        self._fleet.change(endpoint_id, fields)

    def expire_tokens(self) -> None:
        """No token handed out so far is accepted any more."""
        self.tokens.clear()

    def _empty_fleet(self, packed: bool = False) -> Collection:
        return Collection("id", {"id": str, "lastSeenAt": micros, "tenant": self._tenant_mark}, packed)

    def _tenant_mark(self, tenant: Any) -> str:
        """The id of the endpoint's tenant; the first tenant's if the id is missing or unknown."""
        known = str(tenant.get("id")) if isinstance(tenant, dict) else ""
        return known if known in self.tenants else next(iter(self.tenants), OWN_ID)

    # The calls

    def _token(self) -> Response:
        form = request.form
        if request.mimetype != "application/x-www-form-urlencoded":
            return _oauth_error(400, "oauth.invalid_request")  # a guess
        if form.get("grant_type") != "client_credentials" or form.get("scope") != "token":
            return _oauth_error(400, "oauth.invalid_grant")  # a guess
        if form.get("client_id") != self.client_id or form.get("client_secret") != self.client_secret:
            return _oauth_error(401, "oauth.invalid_client_secret")
        token = f"eyJhbGciOiJub25lIn0.{secrets.token_urlsafe(24)}"
        self.tokens[token] = time.monotonic() + self.lifetime
        granted = {"access_token": token, "refresh_token": secrets.token_urlsafe(24), "token_type": "bearer"}
        status = {"message": "OK", "errorCode": "success", "trackingId": str(uuid.uuid4())}
        return answer_json({**granted, **status, "expires_in": self.lifetime})

    def _whoami(self) -> Response:
        hosts = {"global": self.url}
        if self.kind == "tenant":
            hosts["dataRegion"] = self._address(OWN_ID)
        return answer_json({"id": self._own_id, "idType": self.kind, "apiHosts": hosts})

    def _tenants(self, owner: str) -> Response:
        if request.headers.get(f"X-{owner.title()}-ID") != self._own_id or owner != self.kind:
            return _error(401, "Unauthorized")
        page, size = request.args.get("page", 1, int), request.args.get("pageSize", 50, int)
        if page < 1 or not 1 <= size <= 100:
            return _error(400, "BadRequest")
        items = [self._tenant(owner, tenant, name) for tenant, name in self.tenants.items()]
        pages = {"current": page, "size": size, "maxSize": 100}
        if request.args.get("pageTotal") == "true":
            pages |= {"total": -(-len(items) // size), "items": len(items)}
        return answer_json({"items": items[(page - 1) * size : page * size], "pages": pages})

    def _tenant(self, owner: str, tenant: str, name: str) -> dict[str, Any]:
        fields = {"id": tenant, "name": name, "dataGeography": "DE", "dataRegion": "eu01", "billingType": "term"}
        host = {} if tenant in self.unprovisioned else {"apiHost": self._address(tenant)}
        return {**fields, owner: {"id": self._own_id}, "status": "active", **host}

    def _list(self) -> Response:
        tenant = request.headers.get("X-Tenant-ID")
        known = [OWN_ID] if self.kind == "tenant" else list(self.tenants)
        if tenant is None or not self.reader or tenant in self.forbidden or tenant not in known:
            return _error(401, "Unauthorized") if tenant is None else _error(403, "Forbidden")
        try:
            query = read(request.args.to_dict(), self.longest_pages)
        except Refused as refusal:
            return _error(400, "BadRequest", str(refusal))
        return self._page(query, None if self.kind == "tenant" else tenant)

    def _page(self, query: Query, tenant: str | None) -> Response:
        def keep(marks: Marks) -> bool:
            of_tenant = tenant is None or marks[2] == tenant
            seen = query.seen_after is None or (marks[1] != NEVER and int(marks[1]) >= query.seen_after)
            return of_tenant and seen

        page = self._fleet.page("id", query.size, keep, after=query.after)
        pages: dict[str, Any] = {"size": query.size, "maxSize": query.most}
        if query.key:
            pages["fromKey"] = query.key
        if page.end:
            pages["nextKey"] = query.key_of(page.end)
        elif self.end_key != "absent":
            pages["nextKey"] = self.end_key
        if query.total:
            items = self._fleet.count(keep)
            pages |= {"total": -(-items // query.size), "items": items}
        body = b'{"items":[%s],"pages":%s}' % (b",".join(page.records), orjson.dumps(pages))
        return Response(body, content_type="application/json")

    @property
    def _own_id(self) -> str:
        return _OWNERS[self.kind]

    def _address(self, tenant: str) -> str:
        return self.regions.get(tenant) or self.region or f"{self.url}/"

    def _needs_token(self, view: Callable[[], Response]) -> Callable[[], Response]:
        def guarded() -> Response:
            if self.tokens.get(self.token_sent("Bearer") or "", 0.0) <= time.monotonic():
                return _error(401, "Unauthorized")
            return view()

        return guarded

    def too_many(self) -> Response:
        return _error(429, "TooManyRequests")

    def no_such_path(self, _: HTTPException) -> Response:
        return _error(404, "NotFound")

    def wrong_method(self, _: HTTPException) -> Response:
        return _error(405, "MethodNotAllowed")


def _oauth_error(status: int, code: str) -> Response:
    message = "Unauthorized" if status == 401 else "Bad request"
    return answer_json({"errorCode": code, "message": message, "trackingId": str(uuid.uuid4())}, status)


def _error(status: int, error: str, message: str | None = None) -> Response:
    """The generic error; all of its keys are optional."""
    body = {"error": error, "correlationId": str(uuid.uuid4()), "requestId": str(uuid.uuid4())}
    return answer_json({**body, **({"message": message} if message else {})}, status)
