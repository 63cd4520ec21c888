"""`sekoia-lab new-vendor`: the skeleton of a module that sends devices, to be filled in as docs/adding-a-vendor.md says.

What is a vendor's own comes from `templates/vendor/`, whose paths are those of the files to be. What all modules have
alike but for their name is copied from one of them, so that it stays alike.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from importlib import import_module, invalidate_caches
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from lab.modules import ROOT, device_modules
from lab.packaging.fields import path_of, write

NEXT = """\
{name} is in {name}/, lab/*/{slug}.py, tests/{slug}/ and docs/fields/{slug}.md, and declared in pyproject.toml.
Next, as docs/adding-a-vendor.md explains:
1. make venv, so that {slug}_assets can be imported.
2. Fill in what grep -rn TODO {name} lab/*/{slug}.py tests/{slug} lists: the console, then the client, then the table.
3. make docs, after each change to the table.
4. .venv/bin/python -m pytest tests/{slug} fails until the client, the table and the golden files are there."""
_MODEL = next(
    one for one in device_modules() if one.prefix == one.name and one.command.endswith("_device_assets_connector")
)
_LIKE_THE_MODEL = ("Dockerfile", "main.py", "connector_*.json", "trigger_*.json")
_WORDS = {  # of the model's connector → in any vendor's
    f"{_MODEL.name} EDR": _MODEL.name,
    f"protected by {_MODEL.name} agents": f"known to {_MODEL.name}",
}
_TEMPLATES = Path(__file__).parent / "templates" / "vendor"
_VERSION = "1.0.0"
_NAME = re.compile(r"[A-Z][A-Za-z0-9]+")
_LISTS = {  # of pyproject.toml → what they get
    r"^dev-mode-dirs = \[.*(?=\]$)": ', "{name}"',
    r"^packages = \[\n(?: .*\n)*(?=\]$)": '    "{name}/{slug}_assets",\n',
    r"^mypy_path = \[.*(?=\]$)": ', "{name}"',
}

Files = dict[Path, str]


class NewVendorError(ValueError):
    """Why there is no skeleton, and what to do; nothing was written."""


def create(name: str) -> None:
    """Write the skeleton into this repository, formatted, its page of fields included."""
    slug = name.lower()
    if not _NAME.fullmatch(name) or keyword.iskeyword(slug):
        raise NewVendorError(
            f"{name!r} cannot be a module's name: it becomes the name of a folder, of classes and of a package. Use "
            "letters and digits, the first a capital letter, such as CrowdStrike."
        )
    if taken := [place for place in _places(name, slug) if _exists(place)]:
        raise NewVendorError(f"{name} is taken: there is {', '.join(str(place.relative_to(ROOT)) for place in taken)}.")
    files = _like_the_model(name, slug) | _from_templates(name, slug) | _declared(name, slug)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    sources = [str(path) for path in files if path.suffix == ".py"]
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", *sources], check=True)  # noqa: S603 - names of files just written
    sys.path.insert(0, str(ROOT / name))
    invalidate_caches()
    write(import_module(f"lab.vendors.{slug}").MODULE)


def _places(name: str, slug: str) -> list[Path]:
    """What would be the new module's alone."""
    lab = [ROOT / "lab" / folder / f"{slug}.py" for folder in ("vendors", "consoles", "fleet")]
    return [ROOT / name, ROOT / "tests" / slug, *lab, path_of(name)]


def _exists(place: Path) -> bool:
    """In any case of its letters, as some file systems see it."""
    return place.name.lower() in {entry.name.lower() for entry in place.parent.iterdir()}


def _like_the_model(name: str, slug: str) -> Files:
    """What differs from another module in its names and ids only."""

    def renamed(text: str) -> str:
        for word, general in _WORDS.items():
            text = text.replace(word, general)
        return text.replace(_MODEL.name, name).replace(_MODEL.name.lower(), slug)

    files = {}
    for path in (path for pattern in _LIKE_THE_MODEL for path in _MODEL.folder.glob(pattern)):
        text = renamed(path.read_text(encoding="utf-8"))
        text = text.replace(f"VERSION={_MODEL.manifest['version']}", f"VERSION={_VERSION}")
        files[ROOT / name / renamed(path.name)] = re.sub(r'(?<="uuid": ")[^"]+', str(uuid.uuid4()), text, count=1)
    return files


def _from_templates(name: str, slug: str) -> Files:
    """Each template, its path being the file's but for the names in it."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    told = {
        "name": name,
        "slug": slug,
        "version": _VERSION,
        "today": datetime.now(UTC).date(),
        "uuid": uuid.uuid4,
    }
    return {
        ROOT / template.removesuffix(".j2").replace("NAME", name).replace("SLUG", slug): (
            environment.get_template(template).render(told)
        )
        for template in environment.list_templates(extensions=["j2"])
    }


def _declared(name: str, slug: str) -> Files:
    """`pyproject.toml` with the module in its lists of modules."""
    path = ROOT / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    for pattern, entry in _LISTS.items():
        found = re.search(pattern, text, re.MULTILINE)
        if found is None:
            raise NewVendorError(
                f"pyproject.toml has no list that begins like {pattern!r}. Mend lab/packaging/new_vendor.py."
            )
        text = text[: found.end()] + entry.format(name=name, slug=slug) + text[found.end() :]
    return {path: text}
