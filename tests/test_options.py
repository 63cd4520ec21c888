"""Options of this test suite, in a small one with the same `conftest.py`; each run is a process, as options are a program's.

Like this repository it has a folder of the vendor's name, which pytest took for the folder to be tested.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.modules import ROOT

TESTS = {
    "sophos/test_client.py": "def test_any(): ...",
    "test_matrix.py": """
        import pytest
        class TestSophosChanges:
            def test_one(self): ...
        class TestEsetChanges:
            @pytest.mark.slow
            def test_one(self): ...
        @pytest.mark.parametrize("fault", ["Reset()", "sophos_device_assets_connector", "checkpoint_harmony_mobile"])
        def test_fault(fault): ...
        @pytest.mark.timing
        def test_seconds_of_eset(): ...
        """,
    "test_names.py": """
        import pytest
        @pytest.mark.parametrize("name", ["ESET", "CheckpointHarmony", "Sophos-503", "Sophosticated"])
        def test_name(name): ...
        """,
}


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "Sophos").mkdir()
    for name, text in TESTS.items():
        (folder / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        (folder / "tests" / name).write_text("\n".join(line[indent:] for line in lines))
    return folder


def run(suite: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--collect-only", *options]
    return subprocess.run(command, cwd=suite, capture_output=True, text=True, check=False)


def selected_by(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {line for line in done.stdout.splitlines() if "::" in line}


@pytest.mark.parametrize(
    ("vendor", "selected"),
    [
        (
            "Sophos",
            {
                "sophos/test_client.py::test_any",
                "test_matrix.py::TestSophosChanges::test_one",
                "test_matrix.py::test_fault[sophos_device_assets_connector]",
                "test_names.py::test_name[Sophos-503]",
            },
        ),
        ("eset", {"test_matrix.py::TestEsetChanges::test_one", "test_names.py::test_name[ESET]"}),
        (
            "checkpointHARMONY",
            {"test_matrix.py::test_fault[checkpoint_harmony_mobile]", "test_names.py::test_name[CheckpointHarmony]"},
        ),
    ],
)
def test_vendor_selects_what_names_the_vendor_in_any_case_slow_tests_included(
    suite: Path, vendor: str, selected: set[str]
) -> None:
    done = run(suite, "--vendor", vendor)
    assert selected_by(done) == {f"tests/{name}" for name in selected}, done.stdout + done.stderr


def test_slow_and_timing_tests_are_left_out_unless_asked_for(suite: Path) -> None:
    slow, timing = "tests/test_matrix.py::TestEsetChanges::test_one", "tests/test_matrix.py::test_seconds_of_eset"
    assert selected_by(run(suite)) & {slow, timing} == set()
    assert len(selected_by(run(suite))) > 5
    assert selected_by(run(suite, "-m", "slow")) == {slow}
    assert selected_by(run(suite, "-m", "timing")) == {timing}


def test_a_vendor_that_no_test_names_is_an_error(suite: Path) -> None:
    done = run(suite, "--vendor", "Sofos")
    assert done.returncode == 4
    assert "no test names Sofos" in done.stderr
