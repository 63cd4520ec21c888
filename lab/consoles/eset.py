"""ESET Connect: the login service and the device management, in reality on two hosts, here on one."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import HTTPException

from lab.consoles.collection import Collection
from lab.consoles.console import DeviceConsole
from lab.consoles.eset_query import MARKS, read
from lab.consoles.queries import Refused
from lab.fleet.eset import eset_devices, eset_groups
from lab.platform.server import answer_json, new_secret

USERNAME = "api-user@example.com"


@dataclass
class _Deferred:
    """An answer being prepared: 202 for `polls` more calls, then the answer, once; `lost`: 504 in its place."""

    asked: bytes  # the call, without its token: only the same call fetches the answer
    polls: int
    lost: bool
    named: bool  # later 202s name the id too


class SimulatedEset(DeviceConsole):
    """One customer's devices and groups. Routes by name: token, devices, groups.

    `username` and `password` are the API user's; with `integrations=False` the user lacks the toggle, with
    `permitted=False` its permission sets show no devices. Tokens are valid for `lifetime` seconds; each refresh token
    is valid once. `no_more` is the page token of the last page: "", None or missing (`...`). `leaves_empty_lists_out`:
    as protobuf's JSON does. `empty_page_last`: an empty page follows after the last record.
    """

    vendor = "ESET"
    identity = "uuid"
    marks = MARKS

    def __init__(
        self,
        username: str = USERNAME,
        password: str | None = None,
        *,
        integrations: bool = True,
        permitted: bool = True,
        lifetime: int = 3600,
        rate: float | None = None,
        latency: float = 0.0,
    ) -> None:
        super().__init__(rate, latency)
        self.username = username
        self.password = password or new_secret("local eset & pässword")  # has to be encoded in a form
        self.integrations, self.permitted, self.lifetime = integrations, permitted, lifetime
        self.no_more: Any = ""
        self.leaves_empty_lists_out = False
        self.empty_page_last = False
        self.access_tokens: dict[str, float] = {}  # and when each ends, time.monotonic()
        self.refresh_tokens: set[str] = set()
        self._groups = Collection("uuid", MARKS)
        self._lock = threading.Lock()
        self._deferring: list[tuple[str, _Deferred]] = []
        self._deferred: dict[str, _Deferred] = {}
        self.route("POST", "/oauth/token", "token", lambda: self._not_yet() or self._token())
        self.route("GET", "/v1/devices", "devices", partial(self._list, "devices"))
        self.route("GET", "/v1/device_groups", "groups", partial(self._list, "deviceGroups"))
        self.app.after_request(_name_the_call)

    # The fleet

    def generated(self, count: int, seed: int) -> Iterable[Any]:
        """The devices; their groups are set too."""
        self.has_groups(eset_groups(seed))
        return eset_devices(count, seed=seed, now=self.now())

    def has_groups(self, groups: Iterable[Any]) -> None:
        """These groups and no others."""
        self._groups.fill(groups)

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The groups, as the API lists them."""
        return [self._groups[identity] for identity in self._groups]

    def checked_in(self) -> dict[str, Any]:
        return {"lastSyncTime": self.now().isoformat().replace("+00:00", "Z")}

    # How it misbehaves

    def expire_tokens(self, refresh_too: bool = False) -> None:
        """End the access tokens; with `refresh_too` the refresh tokens as well."""
        self.access_tokens.clear()
        if refresh_too:
            self.refresh_tokens.clear()

    def defer(self, route: str, polls: int = 1, *, times: int = 1, lost: bool = False, named: bool = True) -> None:
        """Defer the answers to the next `times` calls of the route: 202, and 202 again to the next `polls` - 1 calls
        with their `response-id`. With `lost` the answer is then a 504. Without `named` only the first 202 has the id.
        """
        with self._lock:
            self._deferring += [(route, _Deferred(b"", polls - 1, lost, named)) for _ in range(times)]

    def forget_answers(self) -> None:
        """Drop all deferred answers, as after ten minutes: each `response-id` is then a 404."""
        with self._lock:
            self._deferred.clear()

    # The calls

    def _token(self) -> Response:
        if request.mimetype != "application/x-www-form-urlencoded":
            return answer_json({"error": "unsupported_media_type"}, 415)
        form = request.form
        match form.get("grant_type"):
            case "password":
                valid = (form.get("username"), form.get("password")) == (self.username, self.password)
            case "refresh_token":
                with self._lock:
                    valid = form.get("refresh_token") in self.refresh_tokens
                    self.refresh_tokens.discard(form.get("refresh_token", ""))
            case _:
                return answer_json({"error": "unsupported_grant_type"}, 400)
        if not valid:
            return answer_json({"error": "invalid_grant", "error_description": "invalid credentials"}, 400)
        if not self.integrations:
            return Response("Forbidden", 403, content_type="text/plain")
        access, refresh = f"access-{secrets.token_urlsafe(24)}", f"refresh-{secrets.token_urlsafe(24)}"
        self.access_tokens[access] = time.monotonic() + self.lifetime
        self.refresh_tokens.add(refresh)
        granted = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        return answer_json({**granted, "expires_in": self.lifetime})

    def _list(self, key: str) -> Response:
        if refusal := self._not_yet() or self._refusal():
            return refusal
        collection = self._fleet if key == "devices" else self._groups
        try:
            query = read(dict(request.args.lists()), key)
        except Refused as refusal:
            return _error(400, 3, f"Invalid argument: {refusal}")
        page = collection.page("uuid", query.size, None, after=query.after)
        end = page.end
        if self.empty_page_last and end is None and page.records:
            last = orjson.loads(page.records[-1])["uuid"]
            end = last, last
        token = query.token(end) if end else self.no_more
        more = [] if token is ... else [b'"nextPageToken":' + orjson.dumps(token)]
        listed = [b'"%b":[%b]' % (key.encode(), b",".join(page.records))]
        if self.leaves_empty_lists_out:
            listed, more = listed if page.records else [], more if token else []
        return Response(b"{%b}" % b",".join([*listed, *more]), content_type="application/json")

    def _refusal(self) -> Response | None:
        """The error for a missing (400), invalid (401) or unprivileged (403) Bearer token; None for a good one."""
        token = self.token_sent("Bearer")
        if not token:
            return _error(400, 3, "Missing or malformed authorization")
        if self.access_tokens.get(token, 0.0) < time.monotonic():
            return _error(401, 16, "Token is expired or invalid")
        return None if self.permitted else _error(403, 7, "Permission denied")

    def _not_yet(self) -> Response | None:
        """The 202, 404 or 504 of a deferred answer; None if the real answer is due."""
        asked = request.method.encode() + request.full_path.encode() + request.get_data()
        with self._lock:
            if (response_id := request.headers.get("response-id")) is None:
                deferral = next((one for one in self._deferring if one[0] == request.endpoint), None)
                if deferral is None:
                    return None
                self._deferring.remove(deferral)
                response_id, deferred = str(uuid.uuid4()), deferral[1]
                deferred.asked = asked
                self._deferred[response_id] = deferred
                return Response(b"", 202, {"response-id": response_id})
            known = self._deferred.get(response_id)
            if known is None or known.asked != asked:
                return _error(404, 5, "No response of that id")
            if known.polls > 0:
                known.polls -= 1
                return Response(b"", 202, {"response-id": response_id} if known.named else {})
            del self._deferred[response_id]
            return _error(504, 4, "The answer was not ready in time") if known.lost else None

    def no_such_path(self, _: HTTPException) -> Response:
        return _error(404, 5, "Not Found")

    def wrong_method(self, _: HTTPException) -> Response:
        return _error(405, 12, "Method Not Allowed")


def _error(status: int, code: int, message: str) -> Response:
    """An error in the gateway's form, that of gRPC's Status."""
    return answer_json({"code": code, "message": message, "details": []}, status)


def _name_the_call(answer: Response) -> Response:
    answer.headers["request-id"] = str(uuid.uuid4())
    return answer
