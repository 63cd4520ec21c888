"""Each command in the documents does what it says there: it is run here, or somewhere else, or has a reason not to be.

Commands of `sekoia-lab` are run as they stand, as processes from a shell, in a folder that holds what the documents say it holds, against a
simulated console in the place of the documented one. Only sizes are smaller.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pytest

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.fleet.sentinelone import sentinelone_agents
from lab.modules import MODULES, ROOT
from tests.documents import DOCUMENTS, blocks_in, commands_in, entered

README = ROOT / "README.md"
INSTALLING = ROOT / "docs/installing.md"
COMMANDS = sorted({command for document in DOCUMENTS for command in commands_in(document)})
CI = (ROOT / ".ci/run").read_text(encoding="utf-8") + (ROOT / ".ci/images").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
NOT_IN_CI = {
    "help": "it is run here",
    "faults": "half an hour; make test and make test-all run a seeded part of it",
    "exports": "it needs the network and most of an hour; tests/lab/packaging/test_export.py runs a part of it",
    "benchmarks": "a quarter of an hour on a quiet machine; tests/benchmarks runs small ones",
    "docs": "tests/test_repository.py compares what it writes with what is there",
    "lock": "it needs uv and the network; tests/test_repository.py looks at the locks",
    "sbom": "tests/test_supply_chain.py runs its command",
    "audit": "it needs the network; tests/test_supply_chain.py runs its verdict",
    "fuzz": "it runs until it is stopped",
}
EXEMPT = {
    "cat /etc/ssl/certs/ca-certificates.crt proxy-ca.pem > bundle.pem": "it needs the certificate of somebody's proxy",
    "UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/<vendor>": "it would write the golden files again",
    "UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/words": "it would write the tables of words again",
    "sekoia-lab release <module> minor": "it would raise a version here; tests/lab/packaging/test_release.py runs it in a copy",
    "git pull": "it needs this repository's remote",
    "uv lock": "it needs the network; tests/lab/packaging/test_export.py runs it with EXPORTS=all",
    next(command for command in commands_in(INSTALLING) if command.startswith("docker run")): (
        "it needs a container engine; tests/images starts the images in the same way, and .ci/images runs them"
    ),
    ".venv/bin/python -m pytest --vendor Sophos": "tests/test_options.py tests the option",
}
IN_A_COPY = {
    *(command for command in commands_in(ROOT / "docs/adding-a-vendor.md") if "acme" in command.lower()),
    *(
        line
        for block in blocks_in(INSTALLING, "sh")
        for line in block.splitlines()
        if not line.startswith(("make", "docker"))
    ),
}
"""tests/lab/packaging/test_new_vendor.py and tests/test_installing.py run these."""
NAMES = {".venv/bin/": "", "<module>": "SentinelOne", "<folder>": "FOLDER"}
DEVICES = 30


def known(command: str) -> bool:
    """Whether a test below, or another, is for this command."""
    mine = re.match(r"make |\.ci/|sekoia-lab |python -m benchmarks", plain(command))
    return bool(mine or command in EXEMPT or command in IN_A_COPY)


def plain(command: str) -> str:
    """In one form, with a name where the documents have a placeholder."""
    return reduce(lambda text, word: text.replace(word, NAMES[word]), NAMES, command)


def of(pattern: str) -> pytest.MarkDecorator:
    """The documented commands that begin so, but for those that another test runs."""
    found = {plain(command) for command in COMMANDS if command not in IN_A_COPY | EXEMPT.keys()}
    return pytest.mark.parametrize("command", sorted(command for command in found if re.match(pattern, command)))


@dataclass
class Desk:
    """A reader's folder and console."""

    folder: Path
    console: SimulatedSentinelOne

    def enter(self, command: str) -> str:
        """What the command wrote, on both streams, when it ended well."""
        path = os.pathsep.join([str(self.folder / ".venv/bin"), os.environ["PATH"]])
        return entered(command, self.folder, {"PATH": path})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """With the files that README.md names, and this environment as `.venv`."""
    [settings] = blocks_in(README, "json")
    with SimulatedSentinelOne() as console:
        console.has(DEVICES)
        leading_here = MODULES["SentinelOne"].settings_for(console)
        assert leading_here.keys() == json.loads(settings).keys()
        (tmp_path / "sentinelone.json").write_text(json.dumps(leading_here))
        (tmp_path / "arguments.json").write_text("{}")
        (tmp_path / "agents.json").write_text(json.dumps(list(sentinelone_agents(3))))
        (tmp_path / ".venv").symlink_to(sys.prefix)
        yield Desk(tmp_path, console)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_command_is_known_here(document: Path) -> None:
    unknown = [command for command in commands_in(document) if not known(command)]
    assert not unknown, f"no test runs these, and no reason is given in {Path(__file__).name}: {unknown}"


@of("make ")
def test_a_target_is_there_and_ci_runs_it_or_there_is_a_reason(command: str) -> None:
    target = command.split()[1]
    assert target in TARGETS, f"the Makefile has no target {target}"
    assert (re.search(rf"\bmake {target}(?![\w-])", CI) is None) == (target in NOT_IN_CI), (
        f"say in NOT_IN_CI why not {target}"
    )


@of(r"\.ci/")
def test_a_script_of_ci_is_there_and_part_of_it(command: str) -> None:
    assert os.access(ROOT / command, os.X_OK)
    assert command == ".ci/run" or re.search(rf"^{re.escape(command)}$", CI, re.MULTILINE)


def test_no_reason_is_given_for_what_is_not_documented() -> None:
    assert {f"make {target}" for target in NOT_IN_CI} | set(EXEMPT) <= set(COMMANDS)


def test_make_help_lists_the_targets() -> None:
    output = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[1] for line in output.splitlines()} == TARGETS


@of("sekoia-lab (?!bench)")
def test_a_command_of_the_lab_does_what_it_says(command: str, desk: Desk) -> None:
    words = command.split()
    output = desk.enter(f"{command} --devices 5" if words[1] == "demo" else command)
    if "--out" in words:
        assert (desk.folder / words[words.index("--out") + 1]).stat().st_size
    says = {"check": "Yes. SentinelOne can be read", "preview": "20 devices read", "map": '"class_uid":5001'}
    assert says.get(words[1], "") in output
    if words[1] == "export":
        assert (desk.folder / words[-1] / "manifest.json").is_file()
    if words[1] == "run":
        assert_a_second_run_sends_what_changed(command, desk)


def assert_a_second_run_sends_what_changed(command: str, desk: Desk) -> None:
    """As README.md says it; and its log looks as docs/operating.md shows it."""
    sent, state = desk.folder / "sent.jsonl", desk.folder / ".lab/SentinelOne"
    assert len(sent.read_text().splitlines()) == DEVICES
    desk.console.change(desk.console.ids[3], computerName="renamed")
    desk.enter(command)
    assert len(sent.read_text().splitlines()) == DEVICES + 1
    [shown, *_] = blocks_in(ROOT / "docs/operating.md", "text")
    log = [shape(line) for line in (state / "module.log").read_text().splitlines()]
    for line in shown.splitlines():
        assert any(shape(line) in entry for entry in log), line


@pytest.mark.slow
@of("sekoia-lab bench|python -m benchmarks")
def test_what_measures_knows_the_options_that_are_shown(command: str, desk: Desk) -> None:
    """Measuring takes a minute to an hour; tests/benchmarks do some, and CI runs `make bench`."""
    program = re.match(r"sekoia-lab bench|python -m benchmarks", command)
    assert program
    output = desk.enter(f"cd {ROOT} && {program[0]} --help")
    assert set(re.findall(r"--[a-z-]+", command)) <= set(re.findall(r"--[a-z-]+", output))


@pytest.mark.slow
def test_the_demo_counts_what_the_readme_shows(desk: Desk) -> None:
    """The columns, and modules with a number in each; the figures are each run's own."""
    [shown] = blocks_in(README, "text")
    printed = [line.split() for line in desk.enter("COLUMNS=200 .venv/bin/sekoia-lab demo --devices 5").splitlines()]
    columns, *rows = (line.split() for line in shown.splitlines())
    assert columns in printed
    assert {row[0] for row in rows} <= {row[0] for row in printed if len(row) == len(columns)}
    assert [len(row) for row in rows] == [len(columns)] * 2


def shape(line: str) -> str:
    """A line without its numbers and times, its rules and gaps."""
    line = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\d[\d,.:]*", "0", line)
    return re.sub(r"─+", "─", " ".join(line.split()))


def test_a_command_nobody_knows_is_found(tmp_path: Path) -> None:
    """In a block, behind a comment, in a line of prose; what is shown as output is none."""
    document = tmp_path / "page.md"
    document.write_text(
        "```sh\nmake demo   # small\nnpm start\n```\n`docker run \n  it` and `sekoia-lab`\n```text\nmake it\n```\n```\nmake x\n```\n"
    )
    assert commands_in(document) == ["make demo", "npm start", "docker run it", "make x"]
    assert [command for command in commands_in(document) if not known(command)] == ["npm start", "docker run it"]
