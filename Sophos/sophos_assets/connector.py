"""Sophos endpoints, as Sekoia.io device assets and as starts of playbooks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from threading import Event

from shared.devices.inventory import DeviceConnector
from shared.devices.playbooks import DeviceChanges
from shared.devices.polling import DevicePolling
from shared.devices.walks import WHOLE, Scope, Walk
from shared.http.oauth import client_credentials
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous, FetchedToken, header_value
from shared.times import epoch

from .client import ADVICE, RATES, SophosClient, Tenant
from .mapper import ENDPOINT_TO_DEVICE
from .settings import SophosSettings


class SophosDevices(DevicePolling):
    """Changes by `lastSeenAt`; full walks read changes without a check-in. Each of several tenants is a scope."""

    fields = ENDPOINT_TO_DEVICE
    cursor_key = "last_seen_cursor"

    @classmethod
    def connect(
        cls, settings: SophosSettings, *, stop: Event, patience: Patience, page_size: int | None = None
    ) -> SophosClient:
        url, secret = settings.oauth2_authorization_url, header_value(settings.client_secret, "Client Secret")
        identity = ApiSession("Sophos", url, Anonymous(), stop=stop, patience=patience, advice=ADVICE, rates=RATES)
        auth = FetchedToken(partial(client_credentials, identity, settings.client_id, secret, "token", ADVICE[401]))
        return SophosClient(identity.elsewhere(settings.api_host, auth), page_size, paths=cls.paths("lastSeenAt"))

    @classmethod
    def scopes(cls, client: SophosClient) -> Sequence[Scope]:
        return [WHOLE if tenant.own else _scope(tenant) for tenant in client.tenants()]

    @classmethod
    def walk(cls, client: SophosClient, since: float | None, scope: Scope) -> Walk:
        return Walk(client.endpoints(scope.key, since), cursor_of=lambda endpoint: epoch(endpoint.get("lastSeenAt")))


class SophosDeviceConnector(SophosDevices, DeviceConnector):
    """Keeps the asset inventory."""


class SophosDeviceChanges(SophosDevices, DeviceChanges):
    """Starts playbooks."""


def _scope(tenant: Tenant) -> Scope:
    closed = "" if tenant.api_host else "Sophos names no API host for it yet, so the tenant is not provisioned."
    return Scope(tenant.id, " ".join((tenant.name or tenant.id).split())[:100], closed)
