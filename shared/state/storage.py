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

from shared.errors import TryAgain

_UNREAD = b"(never read)"
_PAUSE = 5.0  # seconds from one write to the next at least, so that a crash repeats the deliveries of so long a time,
_SHARE = 10  # or as many times as long as the write took


class Overtaken(TryAgain):
    """Another process wrote a file since this one read it: each would undo what the other remembers."""


def overtaken(path: Path) -> Overtaken:
    return Overtaken(
        f"Another process changed the state in {path}. Only one connector may use this storage: stop the other. Nothing "
        "is lost: the next round begins at what is stored now."
    )


def opened_data_path() -> Path:
    """The folder or bucket that the platform gives the module for its state; TryAgain when it cannot be opened."""
    from sekoia_automation import storage  # noqa: PLC0415 - imports boto3

    storage.get_s3_data_path.__wrapped__.retry.stop = lambda _: True  # type: ignore[attr-defined] # one try: the SDK's ten take a minute
    try:
        return storage.get_data_path()
    except _storage_errors(ValueError) as error:  # the SDK raises it for a bucket that does not exist
        why = str(error)[:200].rstrip(".")
        raise TryAgain(
            f"The connector cannot open its storage: {why}. Check the object storage: reachability, credentials, bucket."
        ) from None


def is_local(path: Path) -> bool:
    """Whether the path is on a disk (not the SDK's S3Path, whose objects are replaced whole, so atomically)."""
    return type(path) is type(Path())


def read_bytes(path: Path, size: int = -1) -> bytes | None:
    """The file's content, or its first bytes; None when there is none."""
    try:
        if not path.exists():
            return None
        if size < 0:
            return path.read_bytes()
        with path.open("rb") as file:
            return bytes(file.read(size))
    except FileNotFoundError:
        return None
    except _storage_errors() as error:
        raise _failed("read", path, error) from None


def write_bytes(path: Path, *parts: bytes | bytearray) -> None:
    """Replace the file so that it is old or new at every moment, and readable by its owner only."""
    try:
        if not is_local(path):
            path.write_bytes(b"".join(parts))
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in path.parent.glob(f".{path.name}.*"):  # by a kill in the middle of a write
            left.unlink(missing_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(parts)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
            _sync_directory(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except _storage_errors() as error:
        raise _failed("write", path, error) from None


def next_write(began: float, ended: float) -> float:
    """When the state is written again, after a write that took from `began` to `ended`; all in monotonic seconds."""
    return ended + max(_PAUSE, _SHARE * (ended - began))


def spare_of(path: Path) -> Path:
    """Where its copy from before is kept."""
    return path.with_name(path.name + ".bak")


def remove(path: Path) -> None:
    """Delete the file and its copy; none need be there."""
    try:
        for one in (path, spare_of(path)):
            if one.exists():
                one.unlink()
    except _storage_errors() as error:
        raise _failed("write", path, error) from None


class JsonFile:
    """A small JSON object in a file, with the copy before it as a spare. Also stands in for the SDK's PersistentJSON.

    `damaged` tells after a read that the file could not be read, or was gone while its spare is there; then the spare's
    content (or nothing) is used. `unchanged`: it had then what this object read or wrote last.
    A write finds out whether another process wrote in between: two connectors over one storage would each undo what
    the other remembers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = self.unchanged = False
        self._newest: bytes | None = _UNREAD
        self._tried: bytes | None = _UNREAD  # to write last: it may be there although the write failed
        self._entered: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """The object; {} when nothing was ever stored."""
        before, self._newest = self._newest, read_bytes(self.path)
        self.unchanged = self._newest in (before, self._tried)
        content = _object(self._newest)
        if content is None:
            spare = read_bytes(spare_of(self.path))
            content = _object(spare)
            self.damaged = self._newest is not None or spare is not None
        else:
            self.damaged = False
        return content or {}

    def write(self, content: dict[str, Any]) -> None:
        """Replace the object; a good one that stood there becomes the spare. TryAgain when another process wrote it."""
        before = read_bytes(self.path)
        if self._newest is not _UNREAD and before not in (self._newest, self._tried):
            raise overtaken(self.path)
        if before is not None and _object(before) is not None:
            write_bytes(spare_of(self.path), before)
        after = self._tried = orjson.dumps(content)
        write_bytes(self.path, after)
        self._newest = after

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


def _storage_errors(*further: type[Exception]) -> tuple[type[Exception], ...]:
    """What a failed read or write raises. Called only then: a client that names a file should not import boto3 for it."""
    from boto3.exceptions import Boto3Error  # noqa: PLC0415 - slow
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - slow

    return OSError, BotoCoreError, ClientError, Boto3Error, *further


def _failed(verb: str, path: Path, error: Exception) -> TryAgain:
    why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return TryAgain(
        f"The connector cannot {verb} its state in {path}: {why}. Check the storage: free space, rights, reachability. "
        "Nothing is lost: it goes on from its last stored position."
    )
