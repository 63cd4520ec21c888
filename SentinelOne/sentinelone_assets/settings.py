"""The settings that a customer enters for SentinelOne, and the module class.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from pydantic import Field

from shared.runtime.service import ConnectorModule
from shared.runtime.settings import ModuleSettings, OriginUrl, Secret


class SentinelOneSettings(ModuleSettings):
    """`hostname` may be entered without a scheme and becomes an https origin; `api_token` is the Service User's."""

    hostname: OriginUrl = Field(title="URL Domain")
    api_token: Secret = Field(title="API Token")


class SentinelOneModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: SentinelOneSettings
