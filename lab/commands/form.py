"""`sekoia-lab form`: the form a customer sees of a module, as one page that needs no network and sends nothing."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from lab.modules import LabModule
from lab.packaging.library import items

_TEMPLATES = Environment(
    loader=PackageLoader("lab.commands"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
)
_WORDS = {"minimum": "min", "maximum": "max", "pattern": "pattern", "minLength": "minlength", "maxLength": "maxlength"}


@dataclass(frozen=True)
class Field:
    """One entry: its part of the schema and whether the lists `required`, `secrets` and `internal` name it."""

    name: str
    schema: dict[str, Any]
    required: bool
    secret: bool
    internal: bool

    @property
    def choices(self) -> list[Any]:
        """The values to choose from: one of a string's `enum`, any number of a list's."""
        found: list[Any] = self.schema.get("items", self.schema).get("enum", [])
        return found

    def has(self, kind: str) -> bool:
        """Whether its value may be of this JSON type."""
        return kind in self.schema["type"] if isinstance(self.schema["type"], list) else kind == self.schema["type"]

    def attributes(self) -> dict[str, Any]:
        """The attributes of its `<input>`: the schema's conditions, as a browser checks them."""
        kind = "password" if self.secret else "number" if self.has("integer") else "text"
        examples = self.schema.get("examples", [None])
        return {
            "type": kind,
            "title": self.schema["description"],  # what the browser shows where the pattern does not fit
            "required": "" if self.required else None,
            "placeholder": self.schema.get("default", examples[0]),
            "autocomplete": "new-password" if self.secret else "off",
            **{attribute: self.schema.get(word) for word, attribute in _WORDS.items()},
        }


@dataclass(frozen=True)
class Part:
    """A form of its own: the module's configuration, or the arguments of a connector or trigger."""

    title: str
    about: str
    fields: list[Field]


def render(module: LabModule) -> str:
    """The page as HTML."""
    logo = base64.b64encode((module.folder / "logo.svg").read_bytes()).decode()
    return _TEMPLATES.get_template("form.html").render(module=module.manifest, logo=logo, parts=list(parts(module)))


def parts(module: LabModule) -> Iterator[Part]:
    """The module's configuration first, then each item; a connector that is also a trigger is listed once."""
    yield Part("Module configuration", module.manifest["description"], _fields(module.manifest["configuration"]))
    kinds: dict[str, list[str]] = {}
    named = {}
    for name, item in items(module.folder).items():
        kinds.setdefault(item["uuid"], []).append(name.partition("_")[0])
        named[item["uuid"]] = item
    for uuid, item in named.items():
        title = f"{' and '.join(kinds[uuid]).capitalize()}: {item['name']}"
        yield Part(title, item["description"], _fields(item["arguments"]))


def _fields(schema: dict[str, Any]) -> list[Field]:
    lists = {word: schema.get(word, []) for word in ("required", "secrets", "internal")}
    return [
        Field(name, property_, name in lists["required"], name in lists["secrets"], name in lists["internal"])
        for name, property_ in schema["properties"].items()
    ]
