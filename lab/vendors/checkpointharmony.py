"""What the lab needs to know of Check Point Harmony Mobile."""

from __future__ import annotations

from checkpoint_harmony.connector import HarmonyMobileConnector
from checkpoint_harmony.settings import HarmonyMobileModule
from checkpoint_harmony.validator import HarmonyMobileAccountValidator

from lab.consoles.checkpoint import SimulatedHarmonyMobile
from lab.registration import LabModule


def _simulated(alerts: int) -> SimulatedHarmonyMobile:
    console = SimulatedHarmonyMobile()
    console.has(alerts=alerts)
    return console


MODULE = LabModule(
    name="CheckpointHarmony",
    published="ff092b32-68dc-11ee-8c99-0242ac120002",
    library_folder="Checkpoint",
    module=HarmonyMobileModule,
    connector=HarmonyMobileConnector,
    validator=HarmonyMobileAccountValidator,
    simulated=_simulated,
    settings_for=lambda console: {
        "client_id": console.client_id,
        "secret_key": console.secret_key,
        "authentication_url": console.login_url,
    },
)
