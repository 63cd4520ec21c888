"""What a customer enters for HarfangLab, and the module that holds it.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated

from pydantic import AfterValidator

from shared.http.trust import authority
from shared.runtime.service import ConnectorModule
from shared.runtime.settings import ModuleSettings, OriginUrl, Secret


def certificate(value: str | None) -> str | None:
    """PEM text that holds a certificate; left empty, the usual authorities are trusted."""
    if value is None or not value.strip():
        return None
    authority(value)
    return value


class HarfangLabSettings(ModuleSettings):
    """`url` ends as the manager's https origin, its port kept; `api_token` may come with the prefix the manager shows."""

    url: OriginUrl
    api_token: Secret
    ca_certificate: Annotated[str | None, AfterValidator(certificate)] = None


class HarfangLabModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: HarfangLabSettings
