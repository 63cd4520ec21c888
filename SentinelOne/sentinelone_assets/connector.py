"""SentinelOne agents, as Sekoia.io device assets and as starts of playbooks."""

from __future__ import annotations

from threading import Event

from shared.devices.inventory import DeviceConnector
from shared.devices.playbooks import DeviceChanges
from shared.devices.polling import DevicePolling
from shared.devices.walks import Scope, Walk
from shared.http.session import ApiSession, Patience
from shared.http.tokens import FixedToken
from shared.mapping.conversions import Record
from shared.times import epoch

from .client import ADVICE, RATES, SentinelOneClient
from .mapper import AGENT_TO_DEVICE
from .settings import SentinelOneSettings

_UPDATED_AT = "updatedAt"


class SentinelOneDevices(DevicePolling):
    """Changes by `updatedAt`; heartbeats do not change it, and are read by full walks, sorted by `id`."""

    fields = AGENT_TO_DEVICE

    @classmethod
    def connect(
        cls, settings: SentinelOneSettings, *, stop: Event, patience: Patience, page_size: int | None = None
    ) -> SentinelOneClient:
        auth = FixedToken("ApiToken", settings.api_token, "API Token")
        session = ApiSession(
            "SentinelOne", settings.hostname, auth, stop=stop, patience=patience, advice=ADVICE, rates=RATES
        )
        return SentinelOneClient(session, page_size, paths=cls.paths(_UPDATED_AT))

    @classmethod
    def walk(cls, client: SentinelOneClient, since: float | None, scope: Scope) -> Walk:
        return Walk(client.agents(since), cursor_of=_updated_at, sorted_by_cursor=since is not None)


class SentinelOneDeviceConnector(SentinelOneDevices, DeviceConnector):
    """Keeps the asset inventory."""


class SentinelOneDeviceChanges(SentinelOneDevices, DeviceChanges):
    """Starts playbooks."""


def _updated_at(agent: Record) -> float | None:
    return epoch(agent.get(_UPDATED_AT))
