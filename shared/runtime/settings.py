"""Settings every module has, and the types of their fields. A validation error never repeats what was entered."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from sekoia_automation.asset_connector.models.connector import DefaultAssetConnectorConfiguration
from sekoia_automation.configuration.exception import MissingConfigurationError
from sekoia_automation.connector import DefaultConnectorConfiguration
from sekoia_automation.exceptions import AutomationSDKError, ModuleConfigurationError, TriggerConfigurationError

from shared.http.urls import https_url, origin_url

HttpsUrl = Annotated[str, AfterValidator(https_url)]
OriginUrl = Annotated[str, BeforeValidator(origin_url)]
# Until the platform hands the secrets out at start, their place may hold anything, null too.
Secret = Annotated[SecretStr, BeforeValidator(lambda value: "" if value is None else value)]


class _EmptiedHasDefault(BaseModel):
    """Forms send null, "" or [] for what was left empty: an optional setting has its default then."""

    model_config = ConfigDict(hide_input_in_errors=True, validate_assignment=True, extra="ignore")

    @model_validator(mode="wrap")  # not "before", which would also drop what is empty when a secret is assigned later
    @classmethod
    def _without_empty(cls, entered: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(entered, dict):
            required = {name for name, field in cls.model_fields.items() if field.is_required()}
            entered = {
                name: value for name, value in entered.items() if name in required or value not in (None, "", [])
            }
        return validate(entered)


class ModuleSettings(_EmptiedHasDefault):
    """Base of the modules' settings."""


class DeviceConnectorConfiguration(_EmptiedHasDefault, DefaultAssetConnectorConfiguration):
    """Arguments of a device connector: times in seconds, `batch_size` in devices a push."""

    sekoia_base_url: HttpsUrl = "https://api.sekoia.io"
    sekoia_api_key: Secret = SecretStr("")  # type: ignore[assignment] # the SDK's model has it in clear
    frequency: int = Field(default=10800, ge=1)
    batch_size: int = Field(default=1000, ge=1)
    full_sync_interval: int = Field(default=86400, ge=1)


class DeviceChangesConfiguration(_EmptiedHasDefault):
    """Arguments of a trigger on changes of devices, times in seconds, `silent_after` in hours.

    `on`: which kinds start a playbook. `fields`: OCSF paths whose change counts, all but what a heartbeat moves where
    none is named. `include_existing`: the first walk tells every device.
    """

    frequency: int = Field(default=3600, ge=1)
    full_sync_interval: int = Field(default=21600, ge=1)
    on: list[Literal["new", "changed", "gone", "silent", "back"]] = ["new", "changed", "gone", "silent", "back"]
    fields: list[str] = []
    include_existing: bool = False
    silent_after: int = Field(default=168, ge=1)


class EventConnectorConfiguration(_EmptiedHasDefault, DefaultConnectorConfiguration):
    """Arguments of an event connector. `frequency` in seconds, `chunk_size` in events a page, `hours_ago`: where the
    first run begins, `timedelta` in minutes: what is younger may still change.
    """

    intake_key: Annotated[Secret, Field(min_length=1)]  # type: ignore[assignment] # the SDK's model has it in clear
    intake_server: HttpsUrl = "https://intake.sekoia.io"
    frequency: int = Field(default=60, ge=1)
    chunk_size: int = Field(default=1000, ge=1)
    hours_ago: int = Field(default=6, ge=0)
    timedelta: int = Field(default=15, ge=0)


CONFIGURATION_ERRORS = (
    ModuleConfigurationError,
    TriggerConfigurationError,
    MissingConfigurationError,
    ValidationError,
)


def configuration_error(error: BaseException) -> str:
    """A configuration error of pydantic or the SDK → which setting is wrong and how, in one line."""
    cause: Any = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ValidationError):
        wrong = [
            f"{'.'.join(str(part) for part in found['loc']) or 'configuration'} "
            f"{found['msg'].removeprefix('Value error, ')}"
            for found in cause.errors(include_input=False, include_url=False, include_context=False)
        ]
        return f"The configuration is wrong: {'; '.join(wrong)}."
    said = error.args[0] if isinstance(error, AutomationSDKError) and error.args else error
    return f"The configuration is wrong: {' '.join(str(said).split())}."
