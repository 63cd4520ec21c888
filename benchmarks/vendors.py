"""A simulated console whose pages are prepared: each call is answered with the stored bytes of its first answer."""

from __future__ import annotations

import json
import tempfile
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from benchmarks.limits import lifted
from benchmarks.serving import LeanServer, Request, Stored
from lab.kinds import DEVICES
from lab.modules import MODULES
from shared.http.session import Patience

_Key = tuple[str, str, tuple[tuple[str, str], ...]]
_OF_THIS_CONNECTION = ("host", "connection", "content-length", "accept-encoding")  # headers that are not passed on


class PreparedVendor(LeanServer):
    """The console of a module with this many devices. Pages are in a file, so that a million devices need no memory.

    A call that was not made before is passed on to the simulated console and stored; `unprepared` counts these calls.
    """

    def __init__(self, module: str, devices: int) -> None:
        super().__init__()
        self._module = MODULES[module]
        self._console: Any = self._module.simulated(devices).start()
        self._upstream = requests.Session()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this server lives
        self._size = 0
        self._prepared: dict[_Key, Stored] = {}
        self._prepare()

    def settings(self) -> dict[str, Any]:
        """The configuration that leads a module here."""
        text = json.dumps(self._module.settings_for(self._console)).replace(self._console.url, self.url())
        settings: dict[str, Any] = json.loads(text)
        return settings

    def change(self, share: float) -> int:
        """That share of the devices gets another name; → how many."""
        every = self._console.ids[:: round(1 / share)]
        for identity in every:
            self._console.change(identity, **{self._module.names[0]: f"RENAMED-{identity[:8]}"})
        self._prepare()
        return len(every)

    def lengthen(self, most: int) -> None:
        """Allow pages of this length, if the vendor's documents have two limits and the console uses the lower one."""
        self._console.longest_pages["full"] = most
        self._prepare()

    def answer(self, request: Request) -> Stored:
        parts = urlsplit(request.target)
        key = (request.method, parts.path, tuple(sorted(parse_qsl(parts.query))))
        with self._lock:
            stored = self._prepared.get(key)
        return stored or self._fetched(key, request)

    def _fetched(self, key: _Key, request: Request) -> Stored:
        """The console's own answer, its links changed to this server."""
        headers = {name: value for name, value in request.headers.items() if name not in _OF_THIS_CONNECTION}
        reply = self._upstream.request(
            request.method, self._console.url + request.target, data=request.body, headers=headers, timeout=300
        )
        reply.raise_for_status()
        body = reply.content.replace(self._console.url.encode(), self.url().encode())
        link = reply.headers.get("Link", "").replace(self._console.url, self.url())
        with self._lock:
            stored = self._prepared[key] = Stored(self._file.fileno(), self._size, len(body), link)
            self._size += len(body)
            self._file.seek(stored.offset)
            self._file.write(body)
            self._file.flush()
            self._tally.unprepared += 1
        return stored

    def _prepare(self) -> None:
        """Walk as the module walks, so that each of its calls is known. Alerts are asked for by the time of day."""
        self._prepared.clear()
        if self._module.kind is not DEVICES:
            return
        connector: Any = self._module.connector
        settings = self._module.configured(self.settings()).configuration
        client = connector.connect(settings, stop=Event(), patience=Patience())
        with lifted():
            for scope in connector.scopes(client):
                for _page in connector.walk(client, None, scope).pages:
                    pass
