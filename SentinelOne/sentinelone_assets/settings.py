"""What a customer enters for SentinelOne, and the module that holds it.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from typing import Annotated

from pydantic import BeforeValidator
from sekoia_automation.module import Module

from shared.settings import ModuleSettings, Secret, https_url


def console_url(value: object) -> object:
    """ "URL Domain": a bare host, or the address as copied from a browser → the console's origin."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    scheme, separator, rest = text.partition("://")
    url = f"{scheme}://{rest.split('/', 1)[0]}" if separator else f"https://{text.split('/', 1)[0]}"
    return https_url(url)


class SentinelOneSettings(ModuleSettings):
    """`hostname` ends as an https origin; `api_token` is the Service User's."""

    hostname: Annotated[str, BeforeValidator(console_url)]
    api_token: Secret


class SentinelOneModule(Module):
    """The Sekoia.io module."""

    configuration: SentinelOneSettings  # type: ignore[override] # the SDK validates into this type
