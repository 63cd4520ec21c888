"""The requests that the platform accepts: their shapes, and assets, for which the SDK's own model decides."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

if TYPE_CHECKING:
    from sekoia_automation_models.ocsf.device import DeviceOCSFModel

LOG_LEVELS = frozenset({"debug", "info", "warning", "error", "critical"})


def problem_with(item: Any) -> str | None:
    """None, or why this item is refused, with the path of the key.

    The SDK's models silently drop unknown keys, so a value under a wrong name is lost; and they convert values ("5" for
    5). Both are found by comparing the model's output with the item. Keys whose value is null count as absent, as they
    do for the SDK.
    """
    try:
        parsed = _model().model_validate(item).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'item'}: {first['msg']}"
    if parsed == item:
        return None
    return _difference(item, parsed, "")


def has_uid(item: Any) -> bool:
    """Whether an item has a `device.uid`: the only check while speed is measured."""
    return (
        isinstance(item, dict) and isinstance(item.get("device"), dict) and isinstance(item["device"].get("uid"), str)
    )


def is_log(line: Any) -> bool:
    """Whether this is a log line as the SDK sends it."""
    return (
        isinstance(line, dict)
        and isinstance(line.get("date"), str)
        and line.get("level") in LOG_LEVELS
        and isinstance(line.get("message"), str)
    )


def is_uuid(text: Any, version: int | None = None) -> bool:
    """Whether this is a uuid, of that version if one is named."""
    try:
        parsed = uuid.UUID(str(text))
    except ValueError:
        return False
    return version is None or parsed.version == version


@functools.cache
def _model() -> type[DeviceOCSFModel]:
    """The SDK's, imported when first needed: it takes half a second."""
    from sekoia_automation_models.ocsf.device import DeviceOCSFModel

    return DeviceOCSFModel


def _difference(sent: Any, parsed: Any, path: str) -> str | None:
    if isinstance(sent, dict) and isinstance(parsed, dict):
        for key, value in sent.items():
            here = f"{path}.{key}" if path else str(key)
            if value is None:
                continue
            if key not in parsed:
                return f"{here}: not in the model, it would be dropped"
            if problem := _difference(value, parsed[key], here):
                return problem
        return None
    if isinstance(sent, list) and isinstance(parsed, list):
        pairs = zip(sent, parsed, strict=True)
        return next((p for i, (a, b) in enumerate(pairs) if (p := _difference(a, b, f"{path}.{i}"))), None)
    return None if sent == parsed else f"{path}: {type(sent).__name__} where the model has {type(parsed).__name__}"
