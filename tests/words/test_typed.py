"""What is typed is corrected, or refused with the label of the setting and what is wrong: a table a module, read as text.

The tables are in `tests/<vendor>/words`; `UPDATE_GOLDEN=1 pytest tests/words` writes them again. Review them as diffs.
"""

from __future__ import annotations

import builtins
import json
import os
import re
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any, get_type_hints

import pytest
import requests
from jsonschema import Draft7Validator
from pydantic import SecretStr, ValidationError

from lab.modules import MODULES, ROOT, LabModule
from shared.errors import ConnectorError
from shared.http.session import Patience
from shared.runtime.settings import configuration_error
from tests.words.typed import ADDRESSES, NUMBERS, SECRETS, TOKEN

ONCE = Patience(connect=2.0, read=2.0, attempts=1)
SOUND = {
    **dict.fromkeys(("url", "hostname", "authentication_url"), "https://console.example"),
    **dict.fromkeys(("username", "client_id"), "reader"),
    **dict.fromkeys(("api_token", "password", "client_secret", "secret_key"), TOKEN),
    "region": "eu",
}
CLASSES = {name for space in (builtins, requests.exceptions) for name in vars(space) if name[0].isupper()} - {"None"}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))


def compare(module: LabModule, name: str, lines: Iterable[str]) -> None:
    """The lines are those of the vendor's file, which is written where UPDATE_GOLDEN is set, or for a new vendor."""
    path = ROOT / "tests" / module.name.lower() / "words" / name
    text = "".join(f"{line}\n" for line in lines)
    new = module.published is None and not path.exists()
    if new or os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8").splitlines() == text.splitlines()


def sound(module: LabModule, **changes: Any) -> dict[str, Any]:
    """Settings that can work, but for the changes."""
    required = module.manifest["configuration"]["required"]
    return {**{name: SOUND.get(name, TOKEN) for name in required}, **changes}


def outcome(act: Callable[[], Any]) -> str:
    """What an entry becomes, or the message it is refused with."""
    try:
        return f"= {act()!r}"
    except ValidationError as error:
        return configuration_error(error).removeprefix("The configuration is wrong: ")
    except ConnectorError as error:
        return str(error)


def address_of(module: LabModule) -> str:
    """The module's first setting that is an address."""
    properties = module.manifest["configuration"]["properties"].items()
    return next(name for name, described in properties if "https://" in str(described))


def secret_of(module: LabModule) -> str:
    return str(module.secrets[0])


def entered_address(module: LabModule, value: str) -> str:
    name, model = address_of(module), get_type_hints(module.module)["configuration"]
    return outcome(lambda: getattr(model.model_validate(sound(module, **{name: value})), name))


def entered_secret(module: LabModule, value: Any) -> str:
    name, model = secret_of(module), get_type_hints(module.module)["configuration"]

    def act() -> str:
        settings = model.model_validate(sound(module))
        setattr(settings, name, value)  # as the SDK does with what the platform hands out
        module.connector.connect(settings, stop=Event(), patience=ONCE)
        secret: SecretStr = getattr(settings, name)
        return secret.get_secret_value()

    return outcome(act)


def entered_number(module: LabModule, value: Any) -> str:
    model = get_type_hints(module.connector)["configuration"]
    others = {"intake_key": "key"} if "intake_key" in model.model_fields else {}
    return outcome(lambda: model.model_validate({**others, "frequency": value}).frequency)


@each_module
def test_what_is_typed_is_corrected_or_refused_in_words(module: LabModule) -> None:
    described = module.manifest["configuration"]["properties"]
    address, secret = address_of(module), secret_of(module)
    lines = [f"# {module.name}: what is typed, and what becomes of it", "", f"## {described[address]['title']}", ""]
    lines += [f"{value!r}: {entered_address(module, value)}" for value in ADDRESSES]
    lines += ["", f"## {described[secret]['title']}", ""]
    lines += [f"{value!r}: {entered_secret(module, value)}" for value in SECRETS]
    lines += ["", "## Frequency", ""]
    lines += [f"{value!r}: {entered_number(module, value)}" for value in NUMBERS]
    compare(module, "typed.txt", lines)


@each_module
def test_a_refusal_begins_with_the_settings_label_and_repeats_nothing(module: LabModule) -> None:
    described = module.manifest["configuration"]["properties"]
    entries = [(address_of(module), entered_address, ADDRESSES), (secret_of(module), entered_secret, SECRETS)]
    for name, entered, values in entries:
        for value in values:
            said = entered(module, value)  # type: ignore[arg-type, operator] # each with the values of its kind
            if said.startswith("="):
                continue
            assert re.match(rf"(The )?{described[name]['title']} ", said), (value, said)
            assert "console.example" not in said
            assert TOKEN[:9] not in said
            assert not set(re.findall(r"\w+", said)) & CLASSES, said


@each_module
def test_the_form_accepts_what_the_module_accepts_and_its_patterns_are_short(module: LabModule) -> None:
    name = address_of(module)
    schema = module.manifest["configuration"]["properties"][name]
    form = Draft7Validator(schema)
    for value in ADDRESSES:
        assert form.is_valid(value) or not entered_address(module, value).startswith("="), value
    files = [
        module.folder / "manifest.json",
        *module.folder.glob("connector_*.json"),
        *module.folder.glob("trigger_*.json"),
    ]
    patterns = re.findall(r'"pattern": ("[^\n]*"),?\n', "".join(path.read_text(encoding="utf-8") for path in files))
    assert all(len(json.loads(pattern)) <= 24 for pattern in patterns), "a pattern is short enough to be read aloud"


@pytest.mark.parametrize("typed", ["p w", '"pw"', "Bearer pw", " pw ", "p\tw"])
def test_a_password_is_left_as_it_is_but_for_line_breaks_and_invisible_characters(typed: str) -> None:
    model = get_type_hints(MODULES["ESET"].module)["configuration"]
    settings = model.model_validate({"region": "eu", "username": "reader", "password": f"{typed}\u200b\r\n"})
    assert settings.password.get_secret_value() == typed


@each_module
def test_each_text_setting_is_stripped(module: LabModule) -> None:
    model = get_type_hints(module.module)["configuration"]
    for name, described in module.manifest["configuration"]["properties"].items():
        plain = described.get("default", described.get("examples", [SOUND.get(name, "reader")])[0])
        if name in ("ca_certificate", "password"):
            continue
        values = []
        for value in (plain, f' \u200b"{plain}"\n'):
            entered = getattr(model.model_validate(sound(module, **{name: value})), name)
            values.append(entered.get_secret_value() if isinstance(entered, SecretStr) else entered)
        assert values[0] == values[1], name
