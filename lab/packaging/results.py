"""The schema of a trigger's event, for the playbook editor: `results` of the trigger files, from the mapping tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from sekoia_automation_models.ocsf.device import DeviceOCSFModel

from shared.devices.contents import changing_paths
from shared.mapping.table import Field
from shared.runtime.settings import Kind

Schema = dict[str, Any]
_CHANGE: Schema = {
    "type": "object",
    "description": "What made this event start the playbook",
    "properties": {
        "kind": {
            "type": "string",
            "enum": [*get_args(Kind)],
            "description": "new: not known before. changed: known, with changed fields. gone: absent from two complete "
            "collections in a row; the event has what was known of the device (uid, hostname, type, last activity). "
            "silent: still listed, but not active for the configured hours. back: listed and active again after it was "
            "silent or gone",
        },
        "fields": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Paths of the fields that changed; also of a device that is silent or back. Empty for a new one",
        },
        "last_seen": {
            "type": ["number", "null"],
            "description": "The device's latest known activity, epoch seconds; null if the vendor reports none",
        },
    },
    "required": ["kind", "fields", "last_seen"],
}


def results(fields: Iterable[Field]) -> Schema:
    """The JSON schema (draft-07) of a device event of this table, with its change."""
    model = DeviceOCSFModel.model_json_schema()
    schema: Schema = {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {}}
    for row in fields:
        target, known = schema, model
        *parents, name = row.path.split(".")
        for parent in parents:
            known = resolved(model, known["properties"][parent])
            target = target["properties"].setdefault(parent, {"type": "object", "properties": {}})
        target["properties"][name] = _plain(model, known["properties"][name])
        if row.doc:
            target["properties"][name]["description"] = row.doc
        if row.required or (row.is_constant and parents != ["device"]):  # those are not known of a device that is gone
            target.setdefault("required", []).append(name)
    schema["properties"]["change"] = _CHANGE
    schema["required"] = [*schema.get("required", []), "time", "metadata", "device", "change"]
    return schema


def _plain(model: Schema, schema: Schema) -> Schema:
    """Without references, titles, and null, which is never sent."""
    found = resolved(model, schema)
    plain: Schema = {key: found[key] for key in ("type", "enum") if key in found}
    if "items" in found:
        plain["items"] = _plain(model, found["items"])
    if "properties" in found:
        plain["properties"] = {name: _plain(model, value) for name, value in found["properties"].items()}
        if "required" in found:
            plain["required"] = found["required"]
    return plain


def resolved(model: Schema, schema: Schema) -> Schema:
    """The schema behind a reference, or the option that is not null."""
    for option in schema.get("anyOf", []):
        if option != {"type": "null"}:
            return resolved(model, option)
    if "$ref" in schema:
        found: Schema = model["$defs"][schema["$ref"].rpartition("/")[2]]
        return found
    return schema


def trigger_file(path: Path, fields: Iterable[Field]) -> str:
    """The trigger file's text with its results, and the fields to choose from, as the table has them now."""
    rows = tuple(fields)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["arguments"]["properties"]["fields"]["items"]["enum"] = changing_paths(rows)
    content["results"] = results(rows)
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
