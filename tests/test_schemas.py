"""The schemas of the UI and the settings behind them: what a form takes the module takes, and the other way round."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from itertools import product
from typing import Any, get_type_hints

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from pydantic import BaseModel, SecretStr, ValidationError

from lab.modules import MODULES
from lab.packaging.library import items, registered

BEGINNINGS = ["", "https://", " https://", "HTTPS://", "http://", "Http://", "ftp://", "//", "https:/"]
HOSTS = [
    *("", "console.example", "10.0.0.1", "[2001:db8::1]", "[2001:db8::1", "bücher.example", "con sole.example"),
    *("localhost", "LOCALHOST", "a.localhost", "evillocalhost", "localhost.evil.example"),
    *("127.0.0.1", "127.0.0.1.evil.example", "[::1]", "0.0.0.0", "@console.example", "user:pw@console.example"),
]
PORTS = ["", ":", ":8443", ":port"]
ENDINGS = ["", " ", "/", "//", "/a/b", "/a b", "/a@b", "?", "/?a=1", "#a", "/x?next=https://console.example"]
ADDRESSES = ["".join(parts) for parts in product(BEGINNINGS, HOSTS, PORTS, ENDINGS)]
CERTIFICATE = trustme.CA().cert_pem.bytes().decode()
WORDS = [
    CERTIFICATE,
    CERTIFICATE.replace("\n", " "),
    "",
    " ",
    "eu",
    "EU",
    "de",
    " Jpn ",
    "jp",
    "Europe",
    "raw",
    "ecs",
    "cef",
    "me@example.com",
    "a\\b",
    "0",
]
NUMBERS = [-1, 0, 1, 2, 999_999_999, 10**9, 10**9 + 1]


def forms() -> Iterator[tuple[str, dict[str, Any], type[BaseModel]]]:
    """Each form of each module: the file that describes it, its schema, the settings behind it."""
    for module in MODULES.values():
        settings = get_type_hints(module.module)["configuration"]
        yield f"{module.name}/manifest.json", module.manifest["configuration"], settings
        connectors = importlib.import_module(f"{module.package}.connector")
        for name, item in items(module.folder).items():
            runs = getattr(connectors, registered(module.folder / "main.py")[item["docker_parameters"]])
            yield f"{module.name}/{name}", item["arguments"], get_type_hints(runs)["configuration"]


class Entry:
    """One entry of one form; the form's other required entries are filled with something sound."""

    def __init__(self, name: str, form: dict[str, Any], model: type[BaseModel]) -> None:
        self.name, self.schema, self._model = name, form["properties"][name], model
        self._validator = Draft7Validator(self.schema)
        self._others = {
            other: next(iter(form["properties"][other].get("examples", ["x"]))) for other in form.get("required", [])
        }

    def holds(self, **entered: Any) -> Any:
        """The value of the setting after this is entered, or nothing."""
        others = {name: value for name, value in self._others.items() if name != self.name}
        return getattr(self._model.model_validate({**others, **entered}), self.name)

    @property
    def is_optional(self) -> bool:
        return not self._model.model_fields[self.name].is_required()

    def form_takes(self, value: Any) -> bool:
        return bool(self._validator.is_valid(value))

    def module_takes(self, value: Any) -> bool:
        try:
            self._model.model_validate({**self._others, self.name: value})
        except ValidationError:
            return False
        return True

    def is_of(self, kind: str) -> bool:
        """Whether it is of this JSON type and no secret: a secret's place may hold anything until it is handed out."""
        annotation = self._model.model_fields[self.name].annotation
        secret = annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())
        return kind in [self.schema["type"], *self.schema["type"]] and not secret


ENTRIES = {f"{where}:{name}": Entry(name, form, model) for where, form, model in forms() for name in form["properties"]}
each_entry = pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))


def of(kind: str) -> pytest.MarkDecorator:
    found = {key: entry for key, entry in ENTRIES.items() if entry.is_of(kind)}
    return pytest.mark.parametrize("entry", found.values(), ids=list(found))


@of("string")
def test_a_form_refuses_no_address_and_no_word_that_the_module_takes(entry: Entry) -> None:
    """A value that only the module refuses gets a message; one that only the form refuses could never be entered."""
    texts = [text for text in ADDRESSES + WORDS if "enum" not in entry.schema]  # which are chosen, not typed
    assert [text for text in texts if entry.module_takes(text) and not entry.form_takes(text)] == []


@of("string")
@given(text=st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="[]"), max_size=40))
def test_a_form_refuses_no_text_that_the_module_takes(entry: Entry, text: str) -> None:
    for entered in (f"{text}.", f"https://{text}", f" {text.upper()} "):
        assert entry.form_takes(entered) or not entry.module_takes(entered) or "enum" in entry.schema


@of("integer")
def test_a_form_takes_the_numbers_that_the_module_takes_and_no_others(entry: Entry) -> None:
    assert [number for number in NUMBERS if entry.form_takes(number) != entry.module_takes(number)] == []
    assert entry.form_takes(1)


@each_entry
def test_what_a_form_proposes_or_takes_as_empty_the_module_takes(entry: Entry) -> None:
    proposed = [*entry.schema.get("examples", []), *([entry.schema["default"]] if "default" in entry.schema else [])]
    for value in [
        *proposed,
        None,
        True,
        False,
        [],
        *([choice] for choice in entry.schema.get("items", {}).get("enum", [])),
    ]:
        assert entry.module_takes(value) or not entry.form_takes(value), value
    assert all(entry.form_takes(value) for value in proposed)


@pytest.mark.parametrize("left", [None, "", []], ids=repr)
@each_entry
def test_an_optional_setting_that_is_left_empty_has_its_default(entry: Entry, left: Any) -> None:
    """An emptied number of a device connector ended as "should be a valid integer", and the connector never ran."""
    if entry.is_optional:
        assert entry.holds(**{entry.name: left}) == entry.holds()


@of("string")
def test_a_pattern_is_anchored_and_read_alike_by_every_engine(entry: Entry) -> None:
    """Browsers anchor a pattern by themselves, a schema does not; they also ask for `/` to be escaped within brackets."""
    pattern = entry.schema.get("pattern", "^$")
    assert pattern.startswith("^")
    assert pattern.endswith("$")
    assert "/" not in pattern.replace("\\/", "")
    assert "(?<" not in pattern
    assert "(?P" not in pattern
