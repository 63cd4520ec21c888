"""Files that a crash leaves old or new, and that only their owner reads."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from shared.errors import TryAgain
from shared.state import storage as state
from shared.state.storage import JsonFile, is_local, read_bytes, remove, spare_of, write_bytes


class RemotePath(type(Path())):
    """Stands for the SDK's S3 path: objects in a dict, replaced whole; no rename, no append, no directories."""

    objects: ClassVar[dict[str, bytes]]
    failure: ClassVar[Exception | None] = None

    def exists(self) -> bool:
        self._fail()
        return str(self) in self.objects

    def read_bytes(self) -> bytes:
        self._fail()
        if str(self) not in self.objects:
            raise OSError(f"NoSuchKey: {self}")  # as smart_open says it
        return self.objects[str(self)]

    def write_bytes(self, data: bytes) -> int:
        self._fail()
        self.objects[str(self)] = bytes(data)
        return len(data)

    def open(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("an object is read and written whole")

    mkdir = replace = unlink = open

    def _fail(self) -> None:
        if type(self).failure:
            raise type(self).failure


@pytest.fixture
def remote() -> Any:
    class Bucket(RemotePath):
        objects: ClassVar[dict[str, bytes]] = {}

    return Bucket("/bucket/data/context.json")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    assert read_bytes(path) is None
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    write_bytes(path, b"two", b" three")
    assert read_bytes(path) == b"two three"
    assert read_bytes(path, 4) == b"two "


def test_a_file_is_removed_with_its_copy_from_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"two")
    write_bytes(spare_of(path), b"one")
    remove(path)
    remove(path)
    assert not [*tmp_path.iterdir()]


def test_files_and_their_directory_are_their_owners_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_bytes(tmp_path / "new" / "written", b"x")
        JsonFile(tmp_path / "new" / "json").write({"a": 1})
        JsonFile(tmp_path / "new" / "json").write({"a": 2})
    finally:
        os.umask(before)
    assert mode(tmp_path / "new") == 0o700
    assert {path.name: mode(path) for path in (tmp_path / "new").iterdir()} == dict.fromkeys(
        ("written", "json", "json.bak"), 384
    )


def test_a_file_others_could_read_becomes_its_owners_only(tmp_path: Path) -> None:
    """The SDK writes `asset_schema_fields.json` for everyone."""
    path = tmp_path / "asset_schema_fields.json"
    path.write_bytes(b"{}")
    path.chmod(0o644)
    JsonFile(path).write({"a": "b"})
    assert mode(path) == 0o600


class Crash(BaseException):
    """The process dies here: no `except Exception` sees it."""


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), Crash()])
@pytest.mark.parametrize("where", ["fsync", "replace", "fdopen", "write"])
def test_a_failure_anywhere_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, failure: BaseException
) -> None:
    path = tmp_path / "context.json"
    write_bytes(path, b"old")

    def fail(*_: Any, **__: Any) -> Any:
        raise failure

    class Full:
        def __init__(self, handle: int, *_: Any) -> None:
            self.handle = handle

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: Any) -> None:
            os.close(self.handle)

        write = writelines = fail

    if where == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    elif where == "write":
        monkeypatch.setattr(state.os, "fdopen", Full)
    else:
        monkeypatch.setattr(state.os, where, fail)

    with pytest.raises(TryAgain if isinstance(failure, OSError) else Crash):
        write_bytes(path, b"new")

    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["context.json"]


def test_what_a_kill_in_mid_write_left_is_cleared_by_the_next(tmp_path: Path) -> None:
    """Each crash left a file of the size of the state, for ever."""
    (tmp_path / ".context.json.a1b2c3d4").write_bytes(b'{"half')
    other = tmp_path / ".other.json.a1b2c3d4"
    other.write_bytes(b"under way")
    write_bytes(tmp_path / "context.json", b"{}")
    assert set(tmp_path.iterdir()) == {tmp_path / "context.json", other}


def test_content_reaches_the_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Renamed before it was flushed, a file is empty after a power cut."""
    done = []
    flush, rename = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content")
        flush(handle)

    def replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_bytes(tmp_path / "file", b"x")
    assert done == ["content", "rename", "directory"]


def test_a_storage_failure_says_which_file_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TryAgain, match=r"cannot write its state in .*file/context\.json: Not a directory|File exists"):
        write_bytes(tmp_path / "file" / "context.json", b"x")
    with pytest.raises(TryAgain, match=r"cannot read its state in .*: Is a directory"):
        read_bytes(tmp_path)


# --- a small object in a file


def test_what_was_never_stored_is_an_empty_object(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "context.json")
    assert file.read() == {}
    assert not file.damaged


def test_an_object_is_read_as_it_was_written(tmp_path: Path) -> None:
    content = {"cursor": "2024-01-07T06:26:08Z", "nested": {"é": [1, 2.5, None, True]}}
    JsonFile(tmp_path / "context.json").write(content)
    file = JsonFile(tmp_path / "context.json")
    assert file.read() == content
    assert not file.damaged


@pytest.mark.parametrize("damage", [b"", b"{", b'{"cursor": "20', b"\x00" * 50, b"[]", b"null", b'"text"'])
def test_a_damaged_file_is_told_and_the_copy_before_it_is_used(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "context.json"
    JsonFile(path).write({"n": 1})
    JsonFile(path).write({"n": 2})
    path.write_bytes(damage)

    file = JsonFile(path)
    assert file.read() == {"n": 1}
    assert file.damaged


def test_a_file_that_is_gone_while_its_copy_is_there_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "context.json"
    JsonFile(path).write({"n": 1})
    JsonFile(path).write({"n": 2})
    path.unlink()
    file = JsonFile(path)
    assert file.read() == {"n": 1}
    assert file.damaged


def test_a_damaged_file_never_becomes_the_spare(tmp_path: Path) -> None:
    path = tmp_path / "context.json"
    JsonFile(path).write({"n": 1})
    JsonFile(path).write({"n": 2})
    path.write_bytes(b"{")
    JsonFile(path).write({"n": 3})
    path.write_bytes(b"{")
    assert JsonFile(path).read() == {"n": 1}


def test_both_copies_damaged_is_an_empty_object(tmp_path: Path) -> None:
    (tmp_path / "context.json").write_bytes(b"{")
    (tmp_path / "context.json.bak").write_bytes(b"{")
    file = JsonFile(tmp_path / "context.json")
    assert file.read() == {}
    assert file.damaged


def test_damage_is_forgotten_once_the_file_is_whole_again(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "context.json")
    file.path.write_bytes(b"{")
    file.read()
    file.write({"n": 1})
    assert file.read() == {"n": 1}
    assert not file.damaged


def test_it_stands_in_for_the_sdks_persistent_object(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "context.json")
    with file as content:
        content["a"] = {"b": 1}
    with file as content:
        content["a"]["b"] = 2
    assert file.read() == {"a": {"b": 2}}


def test_what_fails_inside_is_not_stored(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "context.json")
    with pytest.raises(KeyError), file as content:
        content["a"] = 1
        raise KeyError
    assert file.read() == {}


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    file = JsonFile(tmp_path / "context.json")
    file.write({"a": 1})
    before = file.path.stat().st_ino
    with file:
        pass
    assert file.path.stat().st_ino == before


# --- the platform's object storage


def test_a_remote_path_is_told_from_a_disk(remote: Path, tmp_path: Path) -> None:
    assert is_local(tmp_path)
    assert not is_local(remote)


def test_a_remote_object_is_read_and_replaced_whole(remote: Any) -> None:
    file = JsonFile(remote)
    assert file.read() == {}
    file.write({"n": 1})
    file.write({"n": 2})
    remote.objects[str(remote)] = b"{"
    assert JsonFile(remote).read() == {"n": 1}


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"),
        EndpointConnectionError(endpoint_url="https://storage.example"),
        OSError(5, "Input/output error"),
    ],
)
def test_a_remote_failure_is_time_that_heals(remote: Any, failure: Exception) -> None:
    type(remote).failure = failure
    with pytest.raises(TryAgain, match=r"cannot read its state in .*context\.json"):
        read_bytes(remote)
    with pytest.raises(TryAgain, match=r"cannot write its state in .*context\.json"):
        write_bytes(remote, b"x")


def test_a_write_that_is_done_and_answered_too_late_is_not_taken_for_another_process(
    remote: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = JsonFile(remote)
    file.write({"written": 1})
    write = type(remote).write_bytes

    def late(path: Any, data: bytes) -> int:
        write(path, data)
        if path == remote:
            raise EndpointConnectionError(endpoint_url="https://storage.example.com")
        return len(data)

    with monkeypatch.context() as patched, pytest.raises(TryAgain):
        patched.setattr(type(remote), "write_bytes", late)
        file.write({"written": 2})
    file.write({"written": 3})
    assert file.read() == {"written": 3}
    assert file.unchanged
