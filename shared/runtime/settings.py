"""Settings every module has, and the types of their fields.

Each string is corrected where it is clear what was meant, as a space or quotes around it. A validation error names the
setting by its label and never repeats what was entered.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, get_args
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from sekoia_automation.asset_connector.models.connector import DefaultAssetConnectorConfiguration
from sekoia_automation.configuration.exception import MissingConfigurationError
from sekoia_automation.connector import DefaultConnectorConfiguration
from sekoia_automation.exceptions import AutomationSDKError, ModuleConfigurationError, TriggerConfigurationError

from shared.errors import ActionNeeded, ConnectorError
from shared.http.urls import https_url, origin_url, typed_url
from shared.masking import hide

_QUOTES = "<>\"'`“”„‟‘’‚‛«»‹›"
_SCHEME = re.compile(r"(?i)(authorization\s*:\s*)?(api[-_ ]?token|api[-_ ]?key|bearer|token)(\s*[:=]\s*|\s+)(?=\S)")
_EXACT = "kept as entered"
_EMPTY = "is empty; enter it"
_WRONG = {
    "missing": _EMPTY,
    "string_too_short": _EMPTY,
    "too_short": _EMPTY,
    "string_type": "must be a string",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "literal_error": "must be one of {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "int": "must be a whole number",
}  # by pydantic's type of error


def as_meant(text: str) -> str:
    """A typed or pasted string without invisible characters, and without the white space and quotes around it."""
    text = _visible(text).strip()
    while len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def _visible(text: str) -> str:
    """Without zero-width characters, marks of direction and the like: Unicode's category Cf."""
    return text if text.isascii() else "".join(letter for letter in text if category(letter) != "Cf")


def _pasted(value: Any) -> Any:
    """A token without the word for its scheme in front, as in `Bearer …` or `token: …`.

    Until the platform hands the secrets out at start, their place may hold anything, null too.
    """
    if isinstance(value, str):
        return as_meant(_SCHEME.sub("", value, count=1)) if _SCHEME.match(value) else value
    return "" if value is None else value


def _hidden(secret: SecretStr) -> SecretStr:
    hide(secret.get_secret_value())
    return secret


HttpsUrl = Annotated[str, AfterValidator(typed_url), AfterValidator(https_url)]
OriginUrl = Annotated[str, BeforeValidator(origin_url)]
Name = Annotated[str, Field(min_length=1)]
_MAX = 10**9  # 31 years of seconds; no event waits much longer
Whole = Annotated[int, Field(ge=0, le=_MAX)]
Positive = Annotated[int, Field(ge=1, le=_MAX)]
Secret = Annotated[SecretStr, BeforeValidator(_pasted), AfterValidator(_hidden)]
Password = Annotated[
    SecretStr, BeforeValidator(lambda value: "" if value is None else value), AfterValidator(_hidden), _EXACT
]


class _Entered(BaseModel):
    """What a form sent. Null, "" or [] is what was left empty: an optional setting has its default then."""

    model_config = ConfigDict(hide_input_in_errors=True, validate_assignment=True, extra="ignore")

    @field_validator("*", mode="before")
    @classmethod
    def _corrected(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        if _EXACT in cls.model_fields[info.field_name or ""].metadata:
            return "".join(_visible(value).splitlines())
        return as_meant(value)

    @model_validator(mode="wrap")  # not "before", which would also drop what is empty when a secret is assigned later
    @classmethod
    def _labelled(cls, entered: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(entered, dict):
            required = {name for name, field in cls.model_fields.items() if field.is_required()}
            entered = {name: value for name, value in entered.items() if name in required or not _is_empty(value)}
        try:
            return validate(entered)
        except ValidationError as error:
            wrong = [cls._sentence(dict(found)) for found in error.errors(include_url=False)]
        raise ValueError("; ".join(wrong))

    @classmethod
    def _sentence(cls, found: dict[str, Any]) -> str:
        name = str(found["loc"][0]) if found["loc"] else ""
        label = cls.model_fields[name].title if name in cls.model_fields else None
        if _is_empty(found["input"]):
            words = _EMPTY
        elif found["type"] == "value_error":
            words = found["msg"].removeprefix("Value error, ")
        else:
            kind = "int" if found["type"].startswith(("int_", "finite_")) else found["type"]
            words = _WRONG[kind].format(**found.get("ctx", {})) if kind in _WRONG else "cannot be used"
        return f"{label or name or 'what was entered'} {words}"


def _is_empty(value: Any) -> bool:
    return value in (None, []) or (isinstance(value, str) and not as_meant(value))


class ModuleSettings(_Entered):
    """Base of the modules' settings."""


class DeviceConnectorConfiguration(_Entered, DefaultAssetConnectorConfiguration):
    """Arguments of a device connector: times in seconds, `batch_size` in devices a push."""

    sekoia_base_url: HttpsUrl = Field(default="https://api.sekoia.io", title="Sekoia.io URL")
    sekoia_api_key: Secret = Field(default=SecretStr(""), title="Sekoia.io API key")  # type: ignore[assignment] # the SDK's model has it in clear
    frequency: Positive = Field(default=10800, title="Frequency")
    batch_size: Positive = Field(default=1000, title="Batch size")
    full_sync_interval: Positive = Field(default=86400, title="Full synchronisation interval")


Kind = Literal["new", "changed", "gone", "silent", "back"]


class DeviceChangesConfiguration(_Entered):
    """Arguments of a trigger on changes of devices, times in seconds, `silent_after` in hours.

    `on`: which kinds start a playbook. `fields`: OCSF paths whose change counts, all but what a heartbeat moves where
    none is named. `include_existing`: the first walk tells every device.
    """

    frequency: Positive = Field(default=3600, title="Frequency")
    full_sync_interval: Positive = Field(default=21600, title="Full synchronisation interval")
    on: list[Kind] = Field(default=[*get_args(Kind)], title="On")
    fields: list[str] = Field(default=[], title="Fields")
    include_existing: bool = Field(default=False, title="Include existing devices")
    silent_after: Positive = Field(default=168, title="Silent after")


class EventConnectorConfiguration(_Entered, DefaultConnectorConfiguration):
    """Arguments of an event connector. `frequency` in seconds, `chunk_size` in events a page, `hours_ago`: where the
    first run begins, `timedelta` in minutes: what is younger may still change.
    """

    intake_key: Secret = Field(min_length=1, title="Intake key")  # type: ignore[assignment] # the SDK's model has it in clear
    intake_server: HttpsUrl = Field(default="https://intake.sekoia.io", title="Intake server")
    frequency: Positive = Field(default=60, title="Frequency")
    chunk_size: Positive = Field(default=1000, title="Chunk size")
    hours_ago: Whole = Field(default=6, title="Hours ago")
    timedelta: Whole = Field(default=15, title="Time delta")


_CONFIGURATION_ERRORS = (
    ModuleConfigurationError,
    TriggerConfigurationError,
    MissingConfigurationError,
    ValidationError,
)


def readable_error(error: Exception) -> ConnectorError | None:
    """The error as a person may read it, one of the configuration as ActionNeeded; None for a bug."""
    if isinstance(error, _CONFIGURATION_ERRORS):
        return ActionNeeded(configuration_error(error))
    return error if isinstance(error, ConnectorError) else None


def configuration_error(error: BaseException) -> str:
    """A configuration error of pydantic or the SDK → which setting is wrong and how, in one line."""
    cause: Any = error
    while cause is not None and not isinstance(cause, ValidationError):
        cause = cause.__cause__ or cause.__context__
    said = error.args[0] if isinstance(error, AutomationSDKError) and error.args else error
    if isinstance(cause, ValidationError):
        said = "; ".join(found["msg"].removeprefix("Value error, ") for found in cause.errors(include_input=False))
    return f"The configuration is wrong: {' '.join(str(said).split())}."
