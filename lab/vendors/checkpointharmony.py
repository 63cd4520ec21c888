"""The registration of Check Point Harmony Mobile; its console and its fleet have files of their own."""

from __future__ import annotations

from lab.registration import LabModule

MODULE = LabModule(
    name="CheckpointHarmony",
    published="ff092b32-68dc-11ee-8c99-0242ac120002",
    library_folder="Checkpoint",
    package="checkpoint_harmony",
    prefix="HarmonyMobile",
    mapping="ALERT_TO_ECS",
    console="lab.consoles.checkpoint:SimulatedHarmonyMobile",
    settings_for=lambda console: {
        "client_id": console.client_id,
        "secret_key": console.secret_key,
        "authentication_url": console.login_url,
    },
    list_route="alerts",
    token_route="token",  # noqa: S106 - the name of a route
    renewed=("401", "403"),
    endless_page={
        "meta": {"limit": 10, "next": "/external_api/v3/alert/?limit=10&offset=10", "total_count": 35},
        "objects": [],
    },
    names=("name",),
    cursor="backend_last_updated",
    number="device_id",
    change={"details": "changed"},
)
