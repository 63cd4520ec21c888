"""The settings that a customer enters for HarfangLab, and the module class.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.http.trust import authority
from shared.runtime.service import ConnectorModule
from shared.runtime.settings import ModuleSettings, OriginUrl, Secret


def certificate(value: str) -> str:
    """PEM text that contains a certificate."""
    authority(value)
    return value


class HarfangLabSettings(ModuleSettings):
    """`url` becomes the manager's https origin with its port; `api_token` may have the manager's prefix."""

    url: OriginUrl = Field(title="URL")
    api_token: Secret = Field(title="API token")
    ca_certificate: Annotated[str, AfterValidator(certificate)] | None = Field(default=None, title="CA certificate")


class HarfangLabModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: HarfangLabSettings
