"""The settings that a customer enters for Check Point Harmony Mobile, and the module class.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from shared.http.urls import origin_url
from shared.runtime.service import ConnectorModule
from shared.runtime.settings import (
    EventConnectorConfiguration,
    HttpsUrl,
    ModuleSettings,
    Name,
    OriginUrl,
    Positive,
    Secret,
)

LOGIN = "/auth/external"


def login_url(url: str) -> str:
    """The Authentication URL as the portal shows it; if only the gateway was entered, with the path added."""
    return url if urlsplit(url).path else url + LOGIN


class HarmonyMobileSettings(ModuleSettings):
    """`secret_key` is the portal's "Secret Key". Without `base_url` alerts are read from the login's host."""

    client_id: Name = Field(title="Client ID")
    secret_key: Secret = Field(title="Client Secret")
    authentication_url: Annotated[HttpsUrl, AfterValidator(login_url)] = Field(title="Authentication URL")
    base_url: OriginUrl | None = Field(default=None, title="Base URL")

    @property
    def data_url(self) -> str:
        """The gateway that alerts are read from: scheme, host and port."""
        return self.base_url or str(origin_url(self.authentication_url))


class HarmonyMobileArguments(EventConnectorConfiguration):
    """`ratelimit_per_minute` calls at most; `event_format`: the alert as Check Point gives it, or normalised."""

    ratelimit_per_minute: Positive = Field(default=60, title="Rate limit")
    event_format: Literal["raw", "ecs"] = Field(default="raw", title="Event format")


class HarmonyMobileModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: HarmonyMobileSettings
