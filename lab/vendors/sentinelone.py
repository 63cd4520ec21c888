"""What the lab needs to know of SentinelOne."""

from __future__ import annotations

from sentinelone_assets.connector import SentinelOneDeviceChanges, SentinelOneDeviceConnector
from sentinelone_assets.settings import SentinelOneModule
from sentinelone_assets.validator import SentinelOneAccountValidator

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.registration import LabModule


def _simulated(devices: int) -> SimulatedSentinelOne:
    console = SimulatedSentinelOne()
    console.has(agents=devices)
    return console


MODULE = LabModule(
    name="SentinelOne",
    published="f47ac10b-58cc-4372-a567-0e02b2c3d479",
    library_folder="SentinelOne",
    module=SentinelOneModule,
    connector=SentinelOneDeviceConnector,
    changes=SentinelOneDeviceChanges,
    incidents={
        "reports an infection": {"infected": True, "activeThreats": 2},
        "is renamed": {"computerName": "RENAMED-PC"},
    },
    validator=SentinelOneAccountValidator,
    simulated=_simulated,
    settings_for=lambda console: {"hostname": console.url, "api_token": console.token},
)
