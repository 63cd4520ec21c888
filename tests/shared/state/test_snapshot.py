"""The two files of a device connector's state: written together, in order, and not too often."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.errors import TryAgain
from shared.state import snapshot as module
from shared.state.fingerprints import FORGOTTEN_AFTER, Fingerprints
from shared.state.snapshot import Snapshot
from shared.state.storage import JsonFile

NOW = 1_764_170_000


class Clock:
    """A monotonic clock that stands still."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def opened(folder: Path) -> Snapshot:
    state = Snapshot(JsonFile(folder / "context.json"), lambda scope: Fingerprints(folder / f"{scope}.bin"))
    state.recall()
    return state


def deliver(state: Snapshot, key: int, scope: str = "a") -> None:
    state.memory(scope).deliver([(key, 1)], NOW, NOW)
    state.of(scope)["cursor"] = key


def test_both_files_are_read_as_they_were_stored(tmp_path: Path) -> None:
    state = opened(tmp_path)
    deliver(state, 7)
    state.store()
    again = opened(tmp_path)
    assert again.of("a")["cursor"] == 7
    assert again.memory("a").meet(7, 0)[0] == 1
    assert not again.memory("a").restored


def test_a_crash_between_the_two_writes_leaves_the_older_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = opened(tmp_path)
    deliver(state, 7)
    state.store()
    deliver(state, 8)

    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(JsonFile, "write", crash)
        state.store()
    again = opened(tmp_path)
    assert again.memory("a").meet(8, 0)[0] == 1
    assert again.of("a")["cursor"] == 7
    assert not again.memory("a").restored


@pytest.mark.parametrize("lost", ["older copy", "gone"])
def test_a_memory_older_than_its_context_is_one_that_was_restored(tmp_path: Path, lost: str) -> None:
    state = opened(tmp_path)
    deliver(state, 7)
    state.store()
    before = (tmp_path / "a.bin").read_bytes()
    deliver(state, 8)
    state.store()
    if lost == "gone":
        for file in tmp_path.glob("a.bin*"):
            file.unlink()
    else:
        (tmp_path / "a.bin").write_bytes(before)
    assert opened(tmp_path).memory("a").restored


def test_ten_thousand_deliveries_are_not_ten_thousand_writes(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On an object storage each was a call that replaced the memory of the whole fleet."""
    state, writes = opened(tmp_path), []
    write = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, target: writes.append(target.name) or write(path, target))
    for key in range(10_000):
        clock.now += 0.1
        deliver(state, key)
        state.store(now=False)
    seconds = 10_000 * 0.1
    assert seconds / 5 * 0.9 < writes.count("a.bin") <= seconds / 5 + 1
    state.store()
    assert len(opened(tmp_path).memory("a")) == 10_000


def test_a_write_that_takes_long_is_made_seldom(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    state = opened(tmp_path)
    write = JsonFile.write

    def slowly(file: JsonFile, content: dict[str, Any]) -> None:
        clock.now += 3
        write(file, content)

    monkeypatch.setattr(JsonFile, "write", slowly)
    deliver(state, 1)
    state.store(now=False)
    deliver(state, 2)
    for waited, known in ((29, 1), (1, 2)):
        clock.now += waited
        state.store(now=False)
        assert len(opened(tmp_path).memory("a")) == known


@pytest.mark.parametrize("file", ["context.json", "a.bin"])
def test_a_second_writer_is_found_out_on_either_file_and_its_state_is_read(tmp_path: Path, file: str) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    deliver(first, 1)
    first.store()
    second.recall()
    second.memory("a")
    if file == "context.json":
        second.context["more"] = True
    else:
        deliver(second, 2)
    second.store()
    deliver(first, 3)
    with pytest.raises(TryAgain, match="Only one connector may use this storage"):
        first.store()
    first.recall()
    assert first.of("a") == second.of("a")
    assert (first.memory("a").meet(2, 0) is None) == (second.memory("a").meet(2, 0) is None)


def test_a_scope_that_left_is_removed_with_its_files_after_thirty_days(tmp_path: Path) -> None:
    state = opened(tmp_path)
    for scope in "ab":
        deliver(state, 1, scope)
    state.listed({"a", "b"}, NOW)
    state.store()
    for later, left in ((FORGOTTEN_AFTER, {"a", "b"}), (FORGOTTEN_AFTER + 1, {"a"})):
        state.listed({"a"}, NOW + later)
        state.store()
        assert set(state.context["scopes"]) == left
        assert {path.stem for path in tmp_path.glob("*.bin")} == left
