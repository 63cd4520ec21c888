"""The inside of the SDK that the modules override or use: a release of the SDK may change it without notice.

`require` compares it with the installed release when a module starts. A method that is overridden and no longer called
would do harm silently: secrets asked for with the SDK's own endless retries, a state file not written atomically. What is
overridden is marked `@override`, for mypy too; what else is used is listed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dis import get_instructions
from importlib.metadata import version

_SDK = "sekoia_automation"
USED = {
    f"{_SDK}.module.Module": {
        "configuration", "connector_configuration_uuid", "load_config", "manifest", "manifest_secrets",
    },
    f"{_SDK}.module.ModuleItem": {"_data_path", "_headers", "callback_url", "data_path", "module", "token"},
    f"{_SDK}.trigger.Trigger": {
        "_error_count", "_exporter", "_handle_trigger_exception", "_last_events_time", "_liveness_server", "_logs",
        "_logs_timer", "_stop_event", "configuration", "heartbeat", "log_exception", "logs_url", "running",
        "seconds_without_events", "secrets_url", "send_event",
    },
    f"{_SDK}.connector.Connector": {
        "_executor", "configuration", "http_default_headers", "push_events_to_intakes", "seconds_without_events",
    },
    f"{_SDK}.connector.metrics.MetricsMixin": set[str](),
    f"{_SDK}.asset_connector.connector.AssetConnector": {
        "ASSET_SCHEMA_FIELDS_FILE", "_check_schema_and_reset_if_needed", "batch_size", "configuration", "frequency",
        "production_base_url", "reset_checkpoint", "schema_store", "task_poll_interval", "task_poll_timeout", "update_checkpoint",
    },
    f"{_SDK}.account_validator.AccountValidator": {"_error", "error", "log_exception", "send_results", "set_task_as_running"},
}  # fmt: skip
"""By class of the SDK: methods and attributes, inherited ones too."""


def require(cls: type) -> None:
    """RuntimeError when a class of the SDK that `cls` inherits is not known here, or lacks what is overridden or used."""
    theirs = [base for base in cls.__mro__ if base.__module__.startswith(f"{_SDK}.")]
    known = {name for base in theirs for name in vars(base)}
    missing = {f"{base}.{name}, which it overrides," for base, name in _overriding(cls) if name not in known}
    for base in theirs:
        name = f"{base.__module__}.{base.__qualname__}"
        missing |= {
            f"{name}, {one}" for one in ({"the class itself"} if name not in USED else USED[name] - _members(base))
        }
    if missing:
        raise RuntimeError(
            f"{cls.__name__} was not made for the installed release of the SDK, {version('sekoia-automation-sdk')}: "
            f"{'; '.join(sorted(missing))} cannot be relied on. Install the release in requirements.lock."
        )


def _overriding(cls: type) -> Iterator[tuple[str, str]]:
    """Class and name of what is marked as overriding."""
    for base in cls.__mro__:
        for name, value in vars(base).items():
            if getattr(getattr(value, "fget", value), "__override__", False):
                yield base.__name__, name


def _members(cls: type) -> set[str]:
    """Methods, class attributes, and attributes that a constructor sets."""
    found = set(dir(cls))
    for base in cls.__mro__:
        found |= {*getattr(base, "__annotations__", ())}
        if code := getattr(vars(base).get("__init__"), "__code__", None):
            found |= {step.argval for step in get_instructions(code) if step.opname == "STORE_ATTR"}
    return found
