"""What was delivered of each device, in a few bytes: how the cycle knows that nothing changed."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Any
from zlib import crc32

import orjson

from shared.state.storage import append_bytes, is_local, read_bytes, write_bytes

VOLATILE = ("time", "last_seen_time")  # what a heartbeat moves: no change of the device
_HEAD = Struct("<II")  # entries, CRC-32 of what follows
FRESH = 1  # delivered since the last full walk ended
SEEN = 2  # met in the full walk that is going on
MARKS = FRESH | SEEN
_MASK = (
    1 << 60
) - 1  # 60 bits: the largest int of 32 bytes in CPython; two of 10⁶ devices share a key once in 10⁶ fleets
_CUTS = tuple(zip(VOLATILE, (bytes.partition, bytes.rpartition), strict=True))  # from the end that is nearer
_RECENT = 65_536  # bytes kept in an object of their own, at least: an object cannot be appended to


def key_of(uid: str) -> int:
    """A device's key: 60 bits of a hash of its `device.uid`."""
    return int.from_bytes(blake2b(uid.encode(), digest_size=8).digest()) & _MASK


def fingerprint(event: dict[str, Any], written: bytes | None = None) -> int:
    """58 bits of a hash of the event without what a heartbeat moves (`time`, `device.last_seen_time`).

    `written`: the event as JSON, where that is made already; its members are in the order the mapper gives them in.
    """
    stable = orjson.dumps(event) if written is None else written
    for name, cut in _CUTS:
        member = orjson.dumps({name: event.get(name, event["device"].get(name))})[1:-1]
        before, _, after = cut(stable, member)
        stable = before.removesuffix(b",") + after  # as if it had never been told
    return int.from_bytes(blake2b(stable, digest_size=8).digest()) & _MASK & ~MARKS


class Fingerprints:
    """Key → fingerprint as last delivered. On disk a log of blocks, each with its checksum; compacted at load and
    after a full walk. A block that a crash tore is dropped: its devices are sent once more, which is harmless.

    On an object storage the newest entries are an object of their own, small enough to be replaced at each delivery.
    `lost` tells that nothing is stored, or not all of it could be read, for more than a torn end. `width`: bytes of a
    value.
    """

    def __init__(self, path: Path, width: int = 8) -> None:
        self.lost = False
        self._path = path
        self._width = width
        self._entry = Struct(f"<Q{width}s")
        self._magic = b"fp02" + width.to_bytes(2, "little")
        self._known: dict[int, int] = {}
        self._recent: dict[int, int] | None = None if is_local(path) else {}
        self._stored = 0  # checksum of the object that the recent entries add to
        self._rewrite = False  # the file's end cannot be appended to
        self._unsaved = False
        self._walking = False
        self._load()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, event: dict[str, Any], written: bytes) -> int:
        """What is compared of an event, of which `written` is the JSON: its two lowest bits are 0."""
        return fingerprint(event, written)

    def known(self, key: int) -> int | None:
        """What was delivered of a device; None when nothing was."""
        value = self._known.get(key)
        return None if value is None else value & ~MARKS

    def is_delivered(self, key: int, value: int, *, refresh: bool) -> bool:
        """Whether this very content was delivered; with `refresh`, whether that was since the last full walk."""
        known = self._known.get(key)
        if known is None:
            return False
        if self._walking and not known & SEEN:
            self._known[key] = known | SEEN
        return known & ~MARKS == value and (not refresh or bool(known & FRESH))

    def deliver(self, entries: Mapping[int, int]) -> None:
        """Remember what was delivered just now, durably."""
        if not entries:
            return
        fresh = {key: value | FRESH for key, value in entries.items()}
        self._known.update({key: value | SEEN for key, value in fresh.items()})
        self._unsaved = True
        if self._recent is not None:
            self._recent.update(fresh)
            self._store_recent(self._recent)
        elif self._rewrite:
            self.save()
        else:
            self._rewrite = True  # until the block is whole
            append_bytes(self._path, self._block(fresh))
            self._rewrite = self._unsaved = False

    def begin_full_walk(self) -> None:
        """Nothing is met yet; an earlier walk may have stopped half-way."""
        self._walking = True
        for key, value in self._known.items():
            if value & SEEN:
                self._known[key] = value & ~SEEN

    def end_full_walk(self) -> None:
        """The walk met every device there is: forget those it did not meet, and begin a new interval for refreshes."""
        self._walking = False
        self._close_walk()
        self._unsaved = True
        self.save()

    def _close_walk(self) -> None:
        for key in [key for key, value in self._known.items() if not value & SEEN]:
            del self._known[key]
        for key, value in self._known.items():  # in place: a second table would show in the peak of the memory
            self._known[key] = value & ~MARKS

    def save(self) -> None:
        """Write all that is not yet stored."""
        if self._unsaved:
            content = self._magic + self._block(self._known)
            write_bytes(self._path, content)
            self._rewrite = self._unsaved = self.lost = False
            if self._recent is not None:
                self._recent, self._stored = {}, crc32(content)

    def _store_recent(self, recent: Mapping[int, int]) -> None:
        """The share of a sixteenth keeps both small: what each delivery writes, and how often all is written."""
        most = max(_RECENT, len(self._known) * self._entry.size // 16)
        if self._rewrite or len(recent) * self._entry.size > most:
            self.save()
        else:
            write_bytes(self._recent_path, self._stored.to_bytes(4, "little") + self._block(recent))
            self._unsaved = False

    @property
    def _recent_path(self) -> Path:
        return self._path.with_name(f"recent-{self._path.name}")

    def _load(self) -> None:
        content = read_bytes(self._path)
        if content is None or not content.startswith(self._magic):
            self._rewrite = self.lost = True
            return
        end = self._read_blocks(content, len(self._magic))
        self._rewrite = end != len(content) or len(content) > 2 * len(self._known) * self._entry.size + 65536
        if self._recent is not None:
            self._stored = crc32(content)
            recent = read_bytes(self._recent_path) or b""
            if recent[:4] == self._stored.to_bytes(4, "little"):  # else it is older than the whole
                self._read_blocks(recent, 4)
                self._rewrite = True

    def _read_blocks(self, content: bytes, at: int) -> int:
        """→ where the readable part ends."""
        while at + _HEAD.size <= len(content):
            entries, checksum = _HEAD.unpack_from(content, at)
            end = at + _HEAD.size + entries * self._entry.size
            body = content[at + _HEAD.size : end]
            if end > len(content) or crc32(body) != checksum:
                self.lost = end <= len(content)
                break
            self._known.update((key, int.from_bytes(value, "little")) for key, value in self._entry.iter_unpack(body))
            at = end
        return at

    def _block(self, entries: Mapping[int, int]) -> bytes:
        body = bytearray(len(entries) * self._entry.size)
        for number, (key, value) in enumerate(entries.items()):
            stored = (value & ~SEEN).to_bytes(self._width, "little")
            self._entry.pack_into(body, number * self._entry.size, key, stored)
        return _HEAD.pack(len(entries), crc32(body)) + body
