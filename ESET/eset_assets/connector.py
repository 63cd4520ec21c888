"""ESET devices, as Sekoia.io device assets and as starts of playbooks."""

from functools import partial
from threading import Event

from shared.devices.inventory import DeviceConnector
from shared.devices.playbooks import DeviceChanges
from shared.devices.polling import DevicePolling
from shared.devices.walks import Scope, Walk
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous
from shared.state.storage import JsonFile

from .client import ADVICE, HEADERS, RATES, EsetClient, signed_in
from .mapper import ESET_TO_DEVICE
from .settings import EsetSettings


class EsetDevices(DevicePolling):
    """ESET cannot be asked for changes: each round reads all devices, and fingerprints show which changed."""

    fields = ESET_TO_DEVICE

    @classmethod
    def connect(
        cls, settings: EsetSettings, *, stop: Event, patience: Patience, page_size: int | None = None
    ) -> EsetClient:
        login = ApiSession(
            "ESET",
            settings.token_url,
            Anonymous(),
            stop=stop,
            headers=HEADERS,
            patience=patience,
            advice=ADVICE,
            rates=RATES,
        )
        auth = signed_in(login, settings.username, settings.password)
        return EsetClient(login.elsewhere(settings.devices_url, auth), page_size, paths=cls.paths())

    @classmethod
    def walk(cls, client: EsetClient, since: float | None, scope: Scope) -> Walk:
        return Walk(client.devices())

    def equip(self, client: EsetClient) -> None:
        """Store the groups, so that devices do not look changed if the groups cannot be read after a restart."""
        client.remember_groups(JsonFile(self.state_file("groups.json")), partial(self.log, level="warning"))


class EsetDeviceConnector(EsetDevices, DeviceConnector):
    """Keeps the asset inventory."""


class EsetDeviceChanges(EsetDevices, DeviceChanges):
    """Starts playbooks."""
