"""What a customer enters for Sophos Central, and the module that holds it.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated

from pydantic import Field

from shared.runtime.service import ConnectorModule
from shared.runtime.settings import HttpsUrl, ModuleSettings, Secret

API_HOST = "https://api.central.sophos.com"
AUTHORIZATION_URL = "https://id.sophos.com/api/v2/oauth2/token"


class SophosSettings(ModuleSettings):
    """`account_name` is a label for the log. The credential may be a tenant's, a partner's or an organization's."""

    account_name: str | None = None
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Secret
    api_host: HttpsUrl = API_HOST
    oauth2_authorization_url: HttpsUrl = AUTHORIZATION_URL


class SophosModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: SophosSettings
