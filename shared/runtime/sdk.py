"""The inside of the SDK that the modules override or use: a release of the SDK may change it without notice.

`require` compares it with the installed release when a module starts. A method that is overridden and no longer called
would do harm silently: secrets asked for with the SDK's own endless retries, a state file not written atomically.
"""

from __future__ import annotations

from dis import get_instructions
from importlib.metadata import version

_SDK = "sekoia_automation"
INSIDE = {
    f"{_SDK}.module.Module": {
        "configuration", "connector_configuration_uuid", "init_sentry", "load_config", "manifest", "manifest_required_properties",
        "manifest_secrets", "register",
    },
    f"{_SDK}.module.ModuleItem": {
        "_data_path", "_ensure_data_path_set", "_headers", "_send_request", "callback_url", "data_path", "execute", "log", "module",
        "start_monitoring", "stop_monitoring", "token",
    },
    f"{_SDK}.trigger.Trigger": {
        "_error_count", "_exporter", "_get_secrets_from_server", "_handle_trigger_exception", "_last_events_time",
        "_liveness_server", "_logs", "_logs_timer",
        "_send_logs_to_api", "_stop_event", "configuration", "execute", "heartbeat", "is_alive", "liveness_context", "log",
        "log_exception", "logs_url", "run", "running", "seconds_without_events", "secrets_url", "send_event",
        "start_monitoring", "stop", "stop_monitoring",
    },
    f"{_SDK}.connector.Connector": {
        "_executor", "configuration", "frequency", "http_default_headers", "next_run", "push_events_to_intakes", "run",
        "seconds_without_events", "stop",
    },
    f"{_SDK}.connector.metrics.MetricsMixin": set[str](),
    f"{_SDK}.asset_connector.connector.AssetConnector": {
        "ASSET_SCHEMA_FIELDS_FILE", "_check_schema_and_reset_if_needed", "asset_fetch_cycle", "batch_size", "configuration",
        "frequency", "get_assets", "get_mapped_fields", "production_base_url", "reset_checkpoint", "run", "schema_store",
        "task_poll_interval", "task_poll_timeout", "update_checkpoint",
    },
    f"{_SDK}.account_validator.AccountValidator": {
        "error", "execute", "log_exception", "send_results", "set_task_as_running", "validate",
    },
}  # fmt: skip
"""By class of the SDK: methods and attributes, inherited ones too."""


def require(cls: type) -> None:
    """RuntimeError when a class of the SDK that `cls` inherits is not known here, or lacks what is overridden or used."""
    for base in cls.__mro__:
        if not base.__module__.startswith(f"{_SDK}."):
            continue
        name = f"{base.__module__}.{base.__qualname__}"
        if missing := {"the class itself"} if name not in INSIDE else INSIDE[name] - _members(base):
            raise RuntimeError(
                f"{cls.__name__} was not made for the installed release of the SDK, {version('sekoia-automation-sdk')}: of "
                f"{name}, {', '.join(sorted(missing))} cannot be relied on. Install the release in requirements.lock."
            )


def _members(cls: type) -> set[str]:
    """Methods, class attributes, and attributes that a constructor sets."""
    found = set(dir(cls))
    for base in cls.__mro__:
        found |= {*getattr(base, "__annotations__", ())}
        if code := getattr(vars(base).get("__init__"), "__code__", None):
            found |= {step.argval for step in get_instructions(code) if step.opname == "STORE_ATTR"}
    return found
