"""The form as a page: what the schemas say is what a person sees, and what the browser checks."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lab.commands.form import Field, parts, render
from lab.modules import MODULES, LabModule
from lab.packaging.library import items
from tests.lab.commands.test_cli import lab

EMPTY = {"meta", "img", "input"}
each_module = pytest.mark.parametrize("module", MODULES.values(), ids=list(MODULES))


class Page(HTMLParser):
    """Elements in their order as (tag, attributes, text within); entries by the id their label or legend leads to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, Any], list[str]]] = []
        self._open: list[tuple[str, dict[str, Any], list[str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element: tuple[str, dict[str, Any], list[str]] = (tag, dict(attrs), [])
        assert len(element[1]) == len(attrs), f"an attribute twice in {attrs}"
        self.elements.append(element)
        if tag not in EMPTY:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        opened, _, _ = self._open.pop()
        assert opened == tag

    def handle_data(self, data: str) -> None:
        for _, _, text in self._open:
            text.append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, Any], str]]:
        return [
            (told, " ".join("".join(text).split()))
            for name, told, text in self.elements
            if name == tag and attributes.items() <= told.items()
        ]

    def one(self, tag: str, **attributes: str) -> tuple[dict[str, Any], str]:
        [found] = self.all(tag, **attributes)
        return found


def entries(module: LabModule) -> list[tuple[str, Field]]:
    return [(f"{number}-{field.name}", field) for number, part in enumerate(parts(module), 1) for field in part.fields]


@each_module
def test_each_part_of_the_module_has_its_form(module: LabModule) -> None:
    found = items(module.folder)
    names = {item["uuid"]: item["name"] for item in found.values()}
    titles = [title for _, title in Page(render(module)).all("h2")]
    assert titles[0] == "Module configuration"
    assert [title.partition(": ")[2] for title in titles[1:]] == list(names.values())
    assert len(Page(render(module)).all("form", method="dialog")) == len(titles)


@each_module
def test_each_entry_has_its_title_and_its_help(module: LabModule) -> None:
    page = Page(render(module))
    for id_, field in entries(module):
        _, help_ = page.one("p", id=f"{id_}-help")
        assert help_ == field.schema["description"]
        several = field.has("array")
        headings = [text for _, text in page.all("legend")] if several else [page.one("label", **{"for": id_})[1]]
        [heading] = [text for text in headings if text.startswith(field.schema["title"])]
        marks = heading.removeprefix(field.schema["title"]).strip()
        assert ("*" in marks) == (field.required and not field.internal), id_
        assert ("stored as secret" in marks) == field.secret
        assert ("filled by the platform" in marks) == field.internal


@each_module
def test_inputs_have_the_conditions_of_the_schema(module: LabModule) -> None:
    page = Page(render(module))
    for id_, field in entries(module):
        assert field.choices or not field.has("array"), "a list is chosen from"
        if field.choices or field.has("boolean"):
            continue
        told, _ = page.one("input", id=id_)
        if field.internal:
            assert "disabled" in told
            assert "required" not in told
            continue
        schema = field.schema
        assert told["type"] == ("password" if field.secret else "number" if schema["type"] == "integer" else "text")
        assert ("required" in told) == field.required
        for word, attribute in (("minimum", "min"), ("maximum", "max"), ("minLength", "minlength")):
            assert told.get(attribute) == (str(schema[word]) if word in schema else None)
        assert told.get("pattern") == schema.get("pattern")
        assert told.get("placeholder") in (
            {str(schema.get("default")), *schema.get("examples", [])}
            if {"default", "examples"} & schema.keys()
            else {None}
        )


def test_choices_are_chosen_from() -> None:
    harmony = Page(render(MODULES["CheckpointHarmony"]))
    assert harmony.one("select", name="event_format")
    assert [(text, "selected" in told) for told, text in harmony.all("option")] == [("raw", True), ("ecs", False)]
    eset = Page(render(MODULES["ESET"]))
    assert [(told["value"], "checked" in told) for told, _ in eset.all("input", name="on")] == [
        ("new", True),
        ("changed", True),
        ("gone", True),
        ("silent", True),
        ("back", True),
    ]
    assert "checked" not in eset.one("input", name="include_existing", type="checkbox")[0]


@each_module
def test_a_secret_is_never_shown_while_it_is_entered(module: LabModule) -> None:
    page = Page(render(module))
    for name in module.secrets:
        told, _ = page.one("input", name=name)
        assert (told["type"], told["autocomplete"]) == ("password", "new-password")


@each_module
def test_the_page_needs_no_network_and_sends_nothing(module: LabModule) -> None:
    html = render(module)
    page = Page(html)
    policy, _ = page.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'")
    assert not page.all("script")
    assert not page.all("link")
    assert "url(" not in html
    assert all(told["src"].startswith("data:") for told, _ in page.all("img"))
    assert all("action" not in told and told["method"] == "dialog" for told, _ in page.all("form"))


def test_a_manifests_text_is_not_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    module = MODULES["SentinelOne"]
    hostname = module.manifest["configuration"]["properties"]["hostname"]
    monkeypatch.setitem(hostname, "description", '"><script>alert(1)</script>')
    monkeypatch.setitem(module.manifest, "name", "<b>Name</b>")
    page = Page(render(module))
    assert not page.all("script")
    assert not page.all("b")
    assert page.one("p", id="1-hostname-help")[1] == '"><script>alert(1)</script>'
    assert page.one("h1")[1] == "<b>Name</b>"


def test_the_command_writes_the_page_and_nothing_else_to_stdout() -> None:
    done = lab("form", "sophos")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == render(MODULES["Sophos"])


def test_the_command_writes_the_page_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "form.html"
    done = lab("form", "Sophos", "--out", path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "The form of Sophos is in" in done.stderr
    assert path.read_text(encoding="utf-8") == render(MODULES["Sophos"])
