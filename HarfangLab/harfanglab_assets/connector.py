"""HarfangLab agents, as Sekoia.io device assets and as starts of playbooks."""

from __future__ import annotations

from threading import Event
from urllib.parse import urlsplit

from pydantic import SecretStr

from shared.devices.inventory import DeviceConnector
from shared.devices.playbooks import DeviceChanges
from shared.devices.polling import DevicePolling
from shared.devices.walks import Scope, Walk
from shared.http.session import ApiSession, Patience
from shared.http.tokens import FixedToken
from shared.http.trust import authority
from shared.http.unreached import UNREACHABLE, UNTRUSTED

from .client import ADVICE, HarfangLabClient
from .mapper import AGENT_TO_DEVICE
from .settings import HarfangLabSettings

_NO_PORT = (
    "Check the port: the configured URL names none, so 443 was tried, and HarfangLab managers often listen on 8443 "
    "(https://your-instance.hurukai.io:8443). If 443 is right, check the network and the proxy."
)
_NO_AUTHORITY = (
    "If it is an authority of your own, put its certificate (PEM) into CA certificate; if a proxy of your network inspects TLS, "
    "put the proxy's into the file that REQUESTS_CA_BUNDLE names. Otherwise the manager has to send its intermediate certificates."
)
_OTHER_AUTHORITY = (
    "CA certificate holds another one: enter the authority that signed the manager's certificate, or have the manager send its "
    "intermediate certificates. If a proxy of your network inspects TLS, enter the proxy's authority."
)


class HarfangLabDevices(DevicePolling):
    """HarfangLab cannot be asked for changes: each round reads all agents, and fingerprints show which changed."""

    fields = AGENT_TO_DEVICE

    @classmethod
    def connect(
        cls, settings: HarfangLabSettings, *, stop: Event, patience: Patience, page_size: int | None = None
    ) -> HarfangLabClient:
        token = settings.api_token.get_secret_value().strip()
        untrusted = _OTHER_AUTHORITY if settings.ca_certificate else _NO_AUTHORITY
        advice = ADVICE | {UNTRUSTED: untrusted} | ({} if urlsplit(settings.url).port else {UNREACHABLE: _NO_PORT})
        session = ApiSession(
            "HarfangLab",
            settings.url,
            FixedToken("Token", SecretStr(token.removeprefix("token_")), "API token"),
            stop=stop,
            patience=patience,
            verify=authority(settings.ca_certificate) if settings.ca_certificate else True,
            advice=advice,
        )
        return HarfangLabClient(session, page_size, paths=cls.paths())

    @classmethod
    def walk(cls, client: HarfangLabClient, since: float | None, scope: Scope) -> Walk:
        return Walk(client.agents())


class HarfangLabDeviceConnector(HarfangLabDevices, DeviceConnector):
    """Keeps the asset inventory."""


class HarfangLabDeviceChanges(HarfangLabDevices, DeviceChanges):
    """Starts playbooks. Pages are named by offsets: if an agent is removed, another one may be missed."""

    may_miss_rows = True
