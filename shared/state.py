"""Files that hold what a connector remembers, written so that a crash leaves the old content or the new.

They lie on a local disk or, as the platform runs modules, behind the SDK's S3 path. Any failure of the storage is a
TryAgain that names the file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import TryAgain

_STORAGE_ERRORS = (OSError, BotoCoreError, ClientError)


def is_local(path: Path) -> bool:
    """Whether the path is on a disk (not the SDK's S3Path, whose objects are replaced whole, so atomically)."""
    return type(path) is type(Path())


def read_bytes(path: Path) -> bytes | None:
    """The file's content; None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except _STORAGE_ERRORS as error:
        raise _failed("read", path, error) from None


def write_bytes(path: Path, content: bytes) -> None:
    """Replace the file so that it is old or new at every moment, and readable by its owner only."""
    try:
        if not is_local(path):
            path.write_bytes(content)
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
            _sync_directory(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except _STORAGE_ERRORS as error:
        raise _failed("write", path, error) from None


def append_bytes(path: Path, content: bytes) -> None:
    """Add to a local file, durably. A crash may leave a part of `content`: the reader has to tell."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except _STORAGE_ERRORS as error:
        raise _failed("write", path, error) from None


class JsonFile:
    """A small JSON object in a file, with the copy before it as a spare. Also stands in for the SDK's PersistentJSON.

    `damaged` tells after a read that the file was there but unreadable; then the spare's content (or nothing) is used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = False
        self._entered: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The object; {} when nothing was ever stored."""
        newest = read_bytes(self.path)
        content = _object(newest)
        self.damaged = newest is not None and content is None
        if self.damaged:
            content = _object(read_bytes(self._spare))
        return content or {}

    def write(self, content: dict[str, Any]) -> None:
        """Replace the object; a good one that stood there becomes the spare."""
        before = read_bytes(self.path)
        if before is not None and _object(before) is not None:
            write_bytes(self._spare, before)
        write_bytes(self.path, orjson.dumps(content))

    @property
    def _spare(self) -> Path:
        return self.path.with_name(self.path.name + ".bak")

    def __enter__(self) -> dict[str, Any]:
        self._entered = self.read()
        return self._entered

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._entered != self.read():
            self.write(self._entered)


def _object(content: bytes | None) -> dict[str, Any] | None:
    try:
        found = orjson.loads(content or b"")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(verb: str, path: Path, error: Exception) -> TryAgain:
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return TryAgain(
        f"The connector cannot {verb} its state in {path}: {why}. Check the storage: free space, rights, reachability. "
        "Nothing is lost: it goes on from its last stored position."
    )
