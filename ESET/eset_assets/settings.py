"""The settings that a customer enters for ESET, and the module class.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.runtime.service import ConnectorModule
from shared.runtime.settings import HttpsUrl, ModuleSettings, Name, Password

LOGIN_PATH = "/oauth/token"
REGIONS = ("eu", "de", "us", "ca", "jpn")


def known_region(value: str) -> str:
    """One of ESET Connect's regions, entered in upper or lower case."""
    known = value.lower()
    if known not in REGIONS:
        raise ValueError(f"must be one of {', '.join(REGIONS)} (Europe, Germany, United States, Canada, Japan)")
    return known


def without_login_path(url: str) -> str:
    """The URL without the path of the tokens, with which it may be entered."""
    return url.removesuffix(LOGIN_PATH)


class EsetSettings(ModuleSettings):
    """`username` and `password` are the dedicated API user's."""

    region: Annotated[str, AfterValidator(known_region)] = Field(title="Region")
    username: Name = Field(title="Username")
    password: Password = Field(title="Password")
    authentication_url: Annotated[HttpsUrl, AfterValidator(without_login_path)] | None = Field(
        default=None, title="Authentication URL"
    )
    api_url: Annotated[HttpsUrl, AfterValidator(without_login_path)] | None = Field(default=None, title="API URL")

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
