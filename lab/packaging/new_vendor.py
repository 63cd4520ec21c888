"""`sekoia-lab new-vendor`: the skeleton of a module, to be filled in as docs/adding-a-vendor.md says.

A vendor's own files come from `templates/vendor/`: `common`, then those of `devices` or `alerts`. Their paths are those of the
new files. Files that are the same in all modules but for names are copied from an existing one, so that they stay the same.
"""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module, invalidate_caches
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from lab.kinds import DEVICES
from lab.modules import MODULES, ROOT, device_modules
from lab.packaging.fields import path_of, write

# "TODO" marks what the skeleton leaves to whoever adds the vendor.
NEXT = """\
{name} is in {name}/, lab/*/{slug}.py, tests/{slug}/ and docs/fields/{slug}.md, and declared in pyproject.toml.
Next, as docs/adding-a-vendor.md explains:
1. make venv, so that {package} can be imported.
2. Fill in what grep -rn TODO {name} lab/*/{slug}.py tests/{slug} lists: the console, then the client, then the table.
3. make docs, after each change to the table.
4. .venv/bin/python -m pytest tests/{slug} fails until the client, the table and the golden files are there."""
_MODEL = next(
    one for one in device_modules() if one.prefix == one.name and one.command.endswith("_device_assets_connector")
)
_WORDS = {  # of the model's connector → in any vendor's
    f"{_MODEL.name} EDR": _MODEL.name,
    f"protected by {_MODEL.name} agents": f"known to {_MODEL.name}",
}
_TEMPLATES = Path(__file__).parent / "templates" / "vendor"
_VERSION = "1.0.0"
_NAME = re.compile(r"[A-Z][A-Za-z0-9]+")
_NOUN = re.compile(r"[a-z]+")
_LISTS = {  # of pyproject.toml → what they get
    r"^dev-mode-dirs = \[.*(?=\]$)": ', "{name}"',
    r"^packages = \[\n(?: .*\n)*(?=\]$)": '    "{name}/{package}",\n',
    r"^mypy_path = \[.*(?=\]$)": ', "{name}"',
}

Files = dict[Path, str]


class Paging(StrEnum):
    """How the list names the next page: in the body, in the `Link` header, or not at all: the query counts rows."""

    BODY = "body"
    LINK = "link"
    OFFSET = "offset"


class NewVendorError(ValueError):
    """Why there is no skeleton, and what to do; nothing was written."""


def create(name: str, noun: str | None = None, paging: Paging = Paging.BODY, *, alerts: bool = False) -> str:
    """Write the skeleton into this repository, formatted, its page of fields included; → what to do next.

    `noun` is the vendor's word for a record: device, or alert, when it is None.
    """
    slug, noun = name.lower(), noun or ("alert" if alerts else "device")
    if not _NAME.fullmatch(name) or keyword.iskeyword(slug):
        raise NewVendorError(
            f"{name!r} cannot be a module's name: it becomes the name of a folder, of classes and of a package. Use "
            "letters and digits, the first a capital letter, such as CrowdStrike."
        )
    if not _NOUN.fullmatch(noun) or keyword.iskeyword(noun):
        raise NewVendorError(f"{noun!r} cannot be the word for a record: use small letters, such as endpoint.")
    if alerts and paging is Paging.LINK:
        raise NewVendorError("The skeleton of alerts needs a total with each page: use --paging body or offset.")
    if taken := [place for place in _places(name, slug) if _exists(place)]:
        raise NewVendorError(f"{name} is taken: there is {', '.join(str(place.relative_to(ROOT)) for place in taken)}.")
    package = f"{slug}_{'alerts' if alerts else 'assets'}"
    words = {"name": name, "slug": slug, "package": package, "noun": noun, "nouns": f"{noun}s", "NOUN": noun.upper()}
    files = _like_the_model(words, alerts) | _from_templates(words, paging, alerts) | _declared(words)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sources = [str(path) for path in files if path.suffix == ".py"]
    for command in (["check", "--quiet", "--fix", "--select", "I,F401"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *sources], check=True)  # noqa: S603 - names of files just written
    sys.path.insert(0, str(ROOT / name))
    invalidate_caches()
    write(import_module(f"lab.vendors.{slug}").MODULE)
    return NEXT.format(**words)


def _places(name: str, slug: str) -> list[Path]:
    """The paths that belong to the new module alone."""
    lab = [ROOT / "lab" / folder / f"{slug}.py" for folder in ("vendors", "consoles", "fleet")]
    return [ROOT / name, ROOT / "tests" / slug, *lab, path_of(name)]


def _exists(place: Path) -> bool:
    """In any case of its letters, as some file systems see it."""
    return place.name.lower() in {entry.name.lower() for entry in place.parent.iterdir()}


def _like_the_model(words: dict[str, str], alerts: bool) -> Files:
    """Files that differ from another module's in names and ids only."""
    name, slug = words["name"], words["slug"]

    def renamed(text: str) -> str:
        for word, general in _WORDS.items():
            text = text.replace(word, general)
        if alerts:
            text = text.replace(_MODEL.command, words["package"])
        return text.replace(_MODEL.name, name).replace(_MODEL.name.lower(), slug)

    files = {}
    for pattern in ("Dockerfile",) if alerts else ("Dockerfile", "main.py", "connector_*.json", "trigger_*.json"):
        for path in _MODEL.folder.glob(pattern):
            text = renamed(path.read_text(encoding="utf-8"))
            text = text.replace(f"VERSION={_MODEL.manifest['version']}", f"VERSION={_VERSION}")
            files[ROOT / name / renamed(path.name)] = re.sub(r'(?<="uuid": ")[^"]+', str(uuid.uuid4()), text, count=1)
    return files


def _from_templates(words: dict[str, str], paging: Paging, alerts: bool) -> Files:
    """Each template, its path being the file's but for the names in it."""
    model = next(one for one in MODULES.values() if one.kind is not DEVICES)
    properties = model.connector_manifest["arguments"]["properties"].items()
    general = {"intake_server", "frequency", "hours_ago", "timedelta", "chunk_size"}
    values = {
        **words,
        "NOUNS": words["nouns"].upper(),
        "paging": str(paging),
        "alerts": alerts,
        "version": _VERSION,
        "today": datetime.now(UTC).date(),
        "uuid": uuid.uuid4,
        "arguments": [f'"{key}": {json.dumps(schema, indent=2)}' for key, schema in properties if key in general],
    }
    files = {}
    for folder in ("common", "alerts" if alerts else "devices"):
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES / folder),
            autoescape=select_autoescape(()),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )
        for template in environment.list_templates(extensions=["j2"]):
            path = template.removesuffix(".j2")
            for word, value in (("NAME", "name"), ("SLUG", "slug"), ("PACKAGE", "package")):
                path = path.replace(word, words[value])
            files[ROOT / path] = environment.get_template(template).render(values)
    return files


def _declared(words: dict[str, str]) -> Files:
    """`pyproject.toml` with the module in its lists of modules."""
    path = ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    for pattern, entry in _LISTS.items():
        found = re.search(pattern, text, re.MULTILINE)
        if found is None:
            raise NewVendorError(
                f"pyproject.toml has no list that begins like {pattern!r}. Fix lab/packaging/new_vendor.py."
            )
        text = text[: found.end()] + entry.format(**words) + text[found.end() :]
    return {path: text}
