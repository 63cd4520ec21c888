"""What the lab needs to know of Check Point Harmony Mobile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.registration import Classes, LabModule

if TYPE_CHECKING:
    from lab.consoles.checkpoint import SimulatedHarmonyMobile
    from shared.mapping.table import Field


def _classes() -> Classes:
    from checkpoint_harmony.connector import HarmonyMobileConnector
    from checkpoint_harmony.settings import HarmonyMobileModule
    from checkpoint_harmony.validator import HarmonyMobileAccountValidator

    return Classes(HarmonyMobileModule, HarmonyMobileConnector, HarmonyMobileAccountValidator)


def _table() -> tuple[Field, ...]:
    from checkpoint_harmony.mapper import ALERT_TO_ECS

    return ALERT_TO_ECS


def _simulated(alerts: int) -> SimulatedHarmonyMobile:
    from lab.consoles.checkpoint import SimulatedHarmonyMobile

    console = SimulatedHarmonyMobile()
    console.has(alerts)
    return console


MODULE = LabModule(
    name="CheckpointHarmony",
    published="ff092b32-68dc-11ee-8c99-0242ac120002",
    library_folder="Checkpoint",
    package="checkpoint_harmony",
    classes=_classes,
    table=_table,
    simulated=_simulated,
    settings_for=lambda console: {
        "client_id": console.client_id,
        "secret_key": console.secret_key,
        "authentication_url": console.login_url,
    },
)
