"""What a customer enters for ESET, and the module that holds it.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, StringConstraints

from shared.http.urls import https_url
from shared.runtime.service import ConnectorModule
from shared.runtime.settings import ModuleSettings, Secret

LOGIN_PATH = "/oauth/token"
REGIONS = ("eu", "de", "us", "ca", "jpn")


def region(value: object) -> object:
    """One of the regions ESET Connect is offered in, in any case."""
    known = value.strip().lower() if isinstance(value, str) else ""
    if known not in REGIONS:
        raise ValueError(f"must be one of {', '.join(REGIONS)} (Europe, Germany, United States, Canada, Japan)")
    return known


def override(value: str | None) -> str | None:
    """An address in place of the region's; left empty there is none. The token's path may stand behind it."""
    return https_url(value).removesuffix(LOGIN_PATH) if value and value.strip() else None


class EsetSettings(ModuleSettings):
    """`username` and `password` are the dedicated API user's."""

    region: Annotated[str, BeforeValidator(region)]
    username: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    password: Secret
    authentication_url: Annotated[str | None, AfterValidator(override)] = None
    api_url: Annotated[str | None, AfterValidator(override)] = None

    @property
    def token_url(self) -> str:
        """Where the login service hands out tokens."""
        host = self.authentication_url or f"https://{self.region}.business-account.iam.eset.systems"
        return f"{host}{LOGIN_PATH}"

    @property
    def devices_url(self) -> str:
        """Device management; each of ESET Connect's services has a host of its own."""
        return self.api_url or f"https://{self.region}.device-management.eset.systems"


class EsetModule(ConnectorModule):
    """The Sekoia.io module."""

    configuration: EsetSettings
