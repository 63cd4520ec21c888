"""Check Point Harmony Mobile's "Test connector"."""

from __future__ import annotations

from shared.runtime.connection_test import EventAccountValidator

from .connector import HarmonyMobileConnector


class HarmonyMobileAccountValidator(EventAccountValidator):
    """Reads one alert: proves the API key, its service and its role."""

    connector = HarmonyMobileConnector
