"""What was delivered of each device, in a few bytes: how the cycle knows that nothing changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

import orjson

from shared.ocsf import VOLATILE
from shared.state import append_bytes, is_local, read_bytes, write_bytes

_MAGIC = b"fp01"
_HEAD = Struct("<II")  # entries, CRC-32 of what follows
_ENTRY = Struct("<QQ")
_FRESH = 1  # delivered since the last full walk ended
_SEEN = 2  # met in the full walk that is going on
_MARKS = _FRESH | _SEEN
_MASK = (
    1 << 60
) - 1  # 60 bits: the largest int of 32 bytes in CPython; two of 10⁶ devices share a key once in 10⁶ fleets
_REMOTE_EVERY = 30.0  # seconds between two uploads: an object cannot be appended to


def key_of(uid: str) -> int:
    """A device's key: 60 bits of a hash of its `device.uid`."""
    return int.from_bytes(blake2b(uid.encode(), digest_size=8).digest()) & _MASK


def fingerprint(event: dict[str, Any]) -> int:
    """58 bits of a hash of the event without what a heartbeat moves (`time`, `device.last_seen_time`)."""
    stable = {name: value for name, value in event.items() if name not in VOLATILE}
    stable["device"] = {name: value for name, value in event["device"].items() if name not in VOLATILE}
    digest = blake2b(orjson.dumps(stable, option=orjson.OPT_SORT_KEYS), digest_size=8).digest()
    return int.from_bytes(digest) & _MASK & ~_MARKS


class Fingerprints:
    """Key → fingerprint as last delivered. On disk a log of blocks, each with its checksum; compacted at load and
    after a full walk. A block that a crash tore is dropped: its devices are sent once more, which is harmless.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[int, int] = {}
        self._rewrite = False  # the file's end cannot be appended to
        self._unsaved = False
        self._saved_at = 0.0
        self._load()

    def __len__(self) -> int:
        return len(self._known)

    def is_delivered(self, key: int, value: int, *, refresh: bool) -> bool:
        """Whether this very content was delivered; with `refresh`, whether that was since the last full walk."""
        known = self._known.get(key)
        if known is None:
            return False
        if refresh and not known & _SEEN:
            self._known[key] = known | _SEEN
        return known & ~_MARKS == value and (not refresh or bool(known & _FRESH))

    def deliver(self, entries: Mapping[int, int]) -> None:
        """Remember what was delivered just now, durably (on S3: within half a minute)."""
        if not entries:
            return
        fresh = {key: value | _FRESH for key, value in entries.items()}
        self._known.update({key: value | _SEEN for key, value in fresh.items()})
        self._unsaved = True
        if not is_local(self._path):
            if time.monotonic() - self._saved_at >= _REMOTE_EVERY:
                self.save()
        elif self._rewrite:
            self.save()
        else:
            self._rewrite = True  # until the block is whole
            append_bytes(self._path, _block(fresh))
            self._rewrite = self._unsaved = False

    def end_full_walk(self) -> None:
        """The walk met every device there is: forget those it did not meet, and begin a new interval for refreshes."""
        for key in [key for key, value in self._known.items() if not value & _SEEN]:
            del self._known[key]
        for key, value in self._known.items():  # in place: a second table would show in the peak of the memory
            self._known[key] = value & ~_MARKS
        self._unsaved = True
        self.save()

    def begin_full_walk(self) -> None:
        """Nothing is met yet; an earlier walk may have stopped half-way."""
        for key, value in self._known.items():
            if value & _SEEN:
                self._known[key] = value & ~_SEEN

    def save(self) -> None:
        """Write all that is not yet stored."""
        if self._unsaved:
            write_bytes(self._path, _MAGIC + _block(self._known))
            self._saved_at = time.monotonic()
            self._rewrite = self._unsaved = False

    def _load(self) -> None:
        content = read_bytes(self._path)
        if content is None or not content.startswith(_MAGIC):
            self._rewrite = True
            return
        at = len(_MAGIC)
        while at + _HEAD.size <= len(content):
            entries, checksum = _HEAD.unpack_from(content, at)
            body = content[at + _HEAD.size : at + _HEAD.size + entries * _ENTRY.size]
            if len(body) != entries * _ENTRY.size or crc32(body) != checksum:
                break
            self._known.update(_ENTRY.iter_unpack(body))
            at += _HEAD.size + len(body)
        self._rewrite = at != len(content) or len(content) > 2 * len(self._known) * _ENTRY.size + 65536


def _block(entries: Mapping[int, int]) -> bytes:
    body = bytearray(len(entries) * _ENTRY.size)
    for number, (key, value) in enumerate(entries.items()):
        _ENTRY.pack_into(body, number * _ENTRY.size, key, value & ~_SEEN)
    return _HEAD.pack(len(entries), crc32(body)) + body
