"""Replies that no server sent, for what a session's caller does with them."""

from __future__ import annotations

from typing import Any

import orjson
import requests

from shared.http.body import Parse, parse
from shared.http.session import Reply

URL = "https://vendor.example/things?limit=5"


def replied(body: Any, headers: dict[str, str] | None = None, parse: Parse = parse) -> Reply:
    """A reply to `GET` of `URL`; `body`: bytes, or what they hold as JSON."""
    response = requests.Response()
    response.status_code = 200
    response.url = URL
    response.headers.update(headers or {})
    response.request = requests.Request("GET", URL).prepare()
    return Reply("Vendor", response, body if isinstance(body, bytes) else orjson.dumps(body), parse=parse)
