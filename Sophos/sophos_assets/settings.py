"""The settings that a customer enters for Sophos Central, and the module class.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from pydantic import Field

from shared.runtime.service import ConnectorModule
from shared.runtime.settings import HttpsUrl, ModuleSettings, Name, Secret

API_HOST = "https://api.central.sophos.com"
AUTHORIZATION_URL = "https://id.sophos.com/api/v2/oauth2/token"


class SophosSettings(ModuleSettings):
    """`account_name` is a label for the log. The credential may be a tenant's, a partner's or an organization's."""

    account_name: str | None = Field(default=None, title="Account name")
    client_id: Name = Field(title="Client ID")
    client_secret: Secret = Field(title="Client Secret")
    api_host: HttpsUrl = Field(default=API_HOST, title="API Host")
    oauth2_authorization_url: HttpsUrl = Field(default=AUTHORIZATION_URL, title="OAuth2 authorization URL")


class SophosModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: SophosSettings
