"""`sekoia-lab new-vendor` in a copy of this repository: what it writes holds what it can, and all once it is filled in.

The commands are those of docs/adding-a-vendor.md, run as they stand there. CI runs a part of the suites; FAULTS=all runs
them whole.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.cli import app
from lab.modules import ROOT
from lab.packaging import new_vendor
from lab.packaging.new_vendor import NewVendorError, create
from tests.documents import commands_in, entered
from tests.lab.packaging.acme import FILLED_IN
from tests.lab.packaging.nested import OKTA

WHOLE = os.environ.get("FAULTS") == "all"
PART = (
    "acme and (repository or every_page or refused_batch_keeps and (Reset or 400) or changed_device_is_sent or heartbeat)"
    " or killed and acme and (Acme-1 or changes-1)"
)
TESTED = ".venv/bin/python -m pytest tests/acme"
NOT_RUN = {
    "make bench": "CI runs it, over all modules",
    "make fuzz": "it runs for as long as one lets it",
    "make faults": "it goes over all modules; with FAULTS=all the part of this one is run here",
    "make demo": "tests/lab/commands/test_cli.py runs it, with FAULTS=all in the copy too",
    ".venv/bin/sekoia-lab preview Acme --module-config acme.json": "the conformance suite has a preview",
    ".venv/bin/python -m pytest --vendor Acme": "its parts are run here; tests/test_options.py tests the option",
    **({} if WHOLE else {"make check": "mypy takes a minute; lint is run here"}),
}
PYTEST = ".venv/bin/python -m pytest -p no:cacheprovider"
SLOW_TOO = "-m 'not timing and not images'"
LINT = ".venv/bin/ruff check Acme lab tests/acme && .venv/bin/ruff format --check Acme lab tests/acme"


class Copy:
    """The repository in another place, and a shell in it: what runs there imports what is there."""

    def __init__(self, root: Path) -> None:
        left_out = shutil.ignore_patterns("__pycache__", ".git", ".venv", ".lab", ".*_cache", ".hypothesis")
        self.root = Path(shutil.copytree(ROOT, root, ignore=left_out))
        (root / ".venv").mkdir()
        for path in Path(sys.prefix).iterdir():
            if path.name != ".installed":
                (root / ".venv" / path.name).symlink_to(path)
        finished = time.time() + 86_400  # later than the change of pyproject.toml: make is not to install anything
        (root / ".venv/.installed").touch()
        os.utime(root / ".venv/.installed", (finished, finished))

    def contents(self) -> dict[str, bytes]:
        """The files by their paths; what the tools write and no one commits is left out."""
        files = (path for path in self.root.rglob("*") if path.is_file() and not path.is_symlink())
        named = {str(path.relative_to(self.root)): path for path in files}
        return {name: path.read_bytes() for name, path in named.items() if not re.search(r"\.pyc$|^\.|_cache/", name)}

    def run(self, command: str, code: int = 0) -> str:
        """Its output, both streams."""
        paths = [self.root, *(path.parent for path in self.root.glob("*/manifest.json"))]
        return entered(command, self.root, {"PYTHONPATH": os.pathsep.join(map(str, paths))}, code, timeout=1800)

    def change(self, name: str, changes: Iterable[tuple[str, str]]) -> None:
        """Replace parts of a file, each of which is in it once."""
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, f"{name} does not hold once: {old}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")

    def fill_in(self, options: str = "--paging body") -> None:
        """The client and the table of a skeleton that was made with these options."""
        package = "acme_alerts" if "--alerts" in options else "acme_assets"
        for name, changes in FILLED_IN[options].items():
            self.change(f"Acme/{package}/{name}", changes)

    def bring_payloads(self) -> None:
        """Eight records of the console in the place of the skeleton's payload."""
        records = "from lab.fleet.acme import acme_devices; import json; print(json.dumps(list(acme_devices(8))))"
        told = json.loads(self.run(f".venv/bin/python -c '{records}'"))
        for kind in ("payloads", "golden"):
            (self.root / "tests/acme" / kind / "specification.json").unlink()
        for number, record in enumerate(told):
            payload = {"origin": "the simulated console", "record": record}
            path = self.root / f"tests/acme/payloads/record_{number}.json"
            path.write_text(json.dumps(payload), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


@pytest.mark.slow
def test_a_skeleton_holds_all_that_it_can(copy: Copy) -> None:
    """Its golden test fails, so that nobody takes it for done."""
    told = copy.run(".venv/bin/sekoia-lab new-vendor Acme")
    assert told.splitlines() == new_vendor.NEXT.format(name="Acme", slug="acme", package="acme_assets").splitlines()
    copy.run(LINT)
    connector = (copy.root / "Acme/connector_acme_device_assets.json").read_text(encoding="utf-8")
    assert not re.search("EDR|agent|SentinelOne", connector), "the skeleton speaks of the module it was copied from"
    written = {path: path.read_text(encoding="utf-8") for path in (copy.root / "Acme").rglob("*.*") if path.is_file()}
    assert not [path.name for path, text in written.items() if "N/A" in text], "it sends a placeholder"
    for claim in ("/api/v1/", '"updatedAt"', '"Bearer"', '"limit"'):
        lines = [line for text in written.values() for line in text.splitlines() if claim in line]
        assert lines and all("TODO (guess)" in line for line in lines if "def " not in line), f"{claim} is a guess"
    tests = "tests/test_repository.py tests/test_operating.py tests/test_schemas.py tests/acme/test_golden.py"
    looked_at = copy.run(f"{PYTEST} -v {tests} -k 'Acme or operating or golden'", code=1)
    failed = {line.split("::")[-1].split(" ")[0] for line in looked_at.splitlines() if line.startswith("FAILED ")}
    assert failed == {
        "test_a_payload_becomes_the_golden_event[specification]",
        "test_there_are_at_least_eight_payloads",
    }
    assert "TODO" in looked_at
    assert len([line for line in looked_at.splitlines() if "Acme" in line and "PASSED" in line]) > 20


@pytest.mark.slow
def test_a_module_passes_the_conformance_suite_once_its_client_and_table_are_filled_in(copy: Copy) -> None:
    """By the page on it: each of its commands is run, in the page's order, or has a reason not to be."""
    said, commands = {}, commands_in(ROOT / "docs/adding-a-vendor.md")
    assert NOT_RUN.keys() <= set(commands)
    for command in commands:
        if command == "make docs":
            copy.fill_in()
            copy.bring_payloads()
        if command == TESTED and not WHOLE:
            part = (
                f"tests/faults/test_crashes.py tests/test_repository.py -p no:cacheprovider {SLOW_TOO} -k "
                + shlex.quote(PART)
            )
            said[command] = copy.run(f"{command} {part}")
        elif command not in NOT_RUN:
            said[command] = copy.run(command)
    assert "Acme/acme_assets/client.py" in said["grep -rn TODO Acme lab/*/acme.py tests/acme"]
    assert int(said[TESTED].rpartition(" passed")[0].split()[-1]) >= (200 if WHOLE else 20)
    assert (copy.root / "form.html").is_file()
    sources = (copy.root / "Acme/acme_assets").glob("*.py")
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in sources) <= 350
    copy.run(LINT)
    if WHOLE:
        everywhere = "Acme and not new_vendor and not measuring or test_the_demo_delivers"
        copy.run(f"{PYTEST} -q {SLOW_TOO} tests --ignore tests/acme -k '{everywhere}'")


@pytest.mark.slow
@pytest.mark.parametrize("options", [one for one in FILLED_IN if one != "--paging body"] if WHOLE else ["--alerts"])
def test_each_skeleton_passes_the_conformance_suite_once_it_is_filled_in(copy: Copy, options: str) -> None:
    copy.run(f".venv/bin/sekoia-lab new-vendor Acme {options}")
    copy.fill_in(options)
    copy.run(".venv/bin/python -m lab.packaging.fields")
    copy.run(LINT)
    suites = f"tests/acme/test_conformance.py tests/test_repository.py {SLOW_TOO}"
    said = copy.run(f"{PYTEST} {suites}" + ("" if WHOLE else f" -k {shlex.quote(PART)}"))
    assert int(said.rpartition(" passed")[0].split()[-1]) >= (120 if WHOLE else 12)


ITS_OWN = re.compile(
    r"Okta/|tests/okta/|lab/(vendors|consoles|fleet)/okta\.py|docs/fields/okta\.md|pyproject\.toml|README\.md"
)


@pytest.mark.slow
def test_a_vendor_of_another_form_is_added_by_its_own_files_alone(copy: Copy) -> None:
    """Bare lists, a `Link` header, nested names, a reset header: 21 files outside of the module's folder knew its vendors."""
    before = copy.contents()
    copy.run(".venv/bin/sekoia-lab new-vendor Okta --noun device --paging link")
    for name, changes in OKTA.items():
        copy.change(name, changes)
    row = "| [SentinelOne]"
    copy.change("README.md", [(row, f"| [Okta](Okta/README.md) | | | |\n{row}")])
    copy.run(".venv/bin/python -m lab.packaging.fields")
    after = copy.contents()
    touched = {path for path in before | after if before.get(path) != after.get(path)}
    assert {path for path in touched if not ITS_OWN.match(path)} == set()
    copy.run(LINT.replace("Acme", "Okta").replace("acme", "okta"))
    suites = "tests/okta/test_conformance.py tests/faults/test_matrix.py tests/test_repository.py tests/test_changes_over_time.py"
    said = copy.run(f"{PYTEST} -n 2 {suites} {SLOW_TOO} -k 'okta and not Changes'")
    assert int(said.rpartition(" passed")[0].split()[-1]) > 150
    shown = copy.run(".venv/bin/sekoia-lab demo --devices 30 --out demo")
    assert re.search(r"^Okta +33 +30 ", shown, re.MULTILINE), shown
    bench = ".venv/bin/sekoia-lab bench Okta --devices 300 --repeats 1 --check --json 2>bench.log || true"
    measured = json.loads(copy.run(bench))["measurements"]  # not how fast it is: this machine may be busy
    assert [(one["contender"], one["unprepared"]) for one in measured] == [("floor", 0), ("module", 0)]
    assert [one["sent"] for one in measured] == [300, 300]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--noun", "End Point"), "cannot be the word for a record"),
        (("--noun", "class"), "cannot be the word for a record"),
        (("--alerts", "--paging", "link"), "needs a total with each page"),
        (("--paging", "cursor"), "is none of body, link, offset"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: tuple[str, ...], reason: str) -> None:
    done = CliRunner().invoke(app, ["new-vendor", "Acme", *options])
    assert (done.exit_code != 0, done.stdout) == (True, "")
    assert reason in done.stderr
    assert not (ROOT / "Acme").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Sophos", "Sophos is taken: there is Sophos"),
        ("SOPHOS", "SOPHOS is taken: there is SOPHOS"),
        ("Docs", "Docs is taken: there is Docs"),
        ("Console", "Console is taken: there is lab/consoles/console.py"),
        ("Faults", "Faults is taken: there is tests/faults"),
        *(
            (name, "cannot be a module's name")
            for name in ("", "A", "crowdstrike", "9Lives", "Trend Micro", "Trend-Micro")
        ),
        *((name, "cannot be a module's name") for name in ("Trend_Micro", "../Trend", "Élan", "Class")),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(
    name: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_text", None)
    with pytest.raises(NewVendorError, match=told):
        create(name)


def test_the_command_says_why_it_refuses() -> None:
    done = CliRunner().invoke(app, ["new-vendor", "Sophos"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert (
        done.stderr
        == "Sophos is taken: there is Sophos, tests/sophos, lab/vendors/sophos.py, lab/consoles/sophos.py, lab/fleet/sophos.py, docs/fields/sophos.md.\n"
    )


def test_a_pyproject_in_another_form_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(new_vendor, "ROOT", tmp_path)
    with pytest.raises(
        NewVendorError, match=r"pyproject\.toml has no list that begins like .*Fix lab/packaging/new_vendor\.py"
    ):
        new_vendor._declared({"name": "Acme", "package": "acme_assets"})
