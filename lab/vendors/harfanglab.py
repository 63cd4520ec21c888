"""What the lab needs to know of HarfangLab."""

from __future__ import annotations

from harfanglab_assets.connector import HarfangLabDeviceChanges, HarfangLabDeviceConnector
from harfanglab_assets.settings import HarfangLabModule
from harfanglab_assets.validator import HarfangLabAccountValidator

from lab.consoles.harfanglab import SimulatedHarfangLab
from lab.registration import LabModule


def _simulated(devices: int) -> SimulatedHarfangLab:
    console = SimulatedHarfangLab()
    console.has(agents=devices)
    return console


MODULE = LabModule(
    name="HarfangLab",
    published="f7da3627-6016-415d-9885-231e1455a7a5",
    library_folder="HarfangLab",
    module=HarfangLabModule,
    connector=HarfangLabDeviceConnector,
    changes=HarfangLabDeviceChanges,
    incidents={
        "loses its policy": {"policy": None},
        "moves into another domain": {"domainname": "BRANCH"},
    },
    validator=HarfangLabAccountValidator,
    simulated=_simulated,
    settings_for=lambda console: {"url": console.url, "api_token": console.token},
)
