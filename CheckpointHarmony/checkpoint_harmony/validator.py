"""Check Point Harmony Mobile's "Test connector"."""

from shared.alerts.validator import EventAccountValidator

from .connector import HarmonyMobileConnector


class HarmonyMobileAccountValidator(EventAccountValidator):
    """Reads one alert: tests the API key, its service and its role."""

    connector = HarmonyMobileConnector
