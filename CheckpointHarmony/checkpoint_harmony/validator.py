"""Check Point Harmony Mobile's "Test connector"."""

from shared.runtime.connection_test import ConnectionTest

from .connector import HarmonyMobileConnector


class HarmonyMobileAccountValidator(ConnectionTest):
    """Reads one alert: tests the API key, its service and its role."""

    connector = HarmonyMobileConnector
