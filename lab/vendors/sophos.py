"""What the lab needs to know of Sophos."""

from __future__ import annotations

from sophos_assets.connector import SophosDeviceChanges, SophosDeviceConnector
from sophos_assets.settings import SophosModule
from sophos_assets.validator import SophosAccountValidator

from lab.consoles.sophos import LOGIN_PATH, SimulatedSophos
from lab.registration import LabModule


def _simulated(devices: int) -> SimulatedSophos:
    console = SimulatedSophos()
    console.has(endpoints=devices)
    return console


MODULE = LabModule(
    name="Sophos",
    published="b3f7a1c2-4e8d-4b5a-9c6f-1d2e3f4a5b6c",
    library_folder="Sophos",
    module=SophosModule,
    connector=SophosDeviceConnector,
    changes=SophosDeviceChanges,
    incidents={
        "falls out of compliance": {"health": {"overall": "bad", "threats": {"status": "bad"}}},
        "is isolated": {"isolation": {"status": "isolated", "adminIsolated": True, "selfIsolated": False}},
    },
    validator=SophosAccountValidator,
    simulated=_simulated,
    settings_for=lambda console: {
        "client_id": console.client_id,
        "client_secret": console.client_secret,
        "api_host": console.url,
        "oauth2_authorization_url": console.url + LOGIN_PATH,
    },
)
