"""The memory of each device: a hash of its content, when it was last delivered, when it was last met, and what it is.

Each is a fact of its own: a refresh follows from the second, forgetting and absence from the third.
"""

from __future__ import annotations

import os
import zlib
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Any

import orjson

from shared.state.storage import overtaken, read_bytes, spare_of, write_bytes

VOLATILE = ("time", "last_seen_time")  # what a heartbeat moves: not a change of the device
FORGOTTEN_AFTER = 30 * 86_400  # seconds without being met
PENDING = 1  # stands for "delivered": accepted in this round, and how the ingestion ended is not known
SILENT, GONE = "silent", "gone"  # of a device that was reported so, or was so when it was learned; "" of any other
_MAGIC = b"devices1"
HEAD = Struct(
    "<8s16sQQIII"
)  # magic, key of the hashes, generation, entries, bytes of a content, CRC-32 of body, of head
_KEY = (1 << 60) - 1  # the largest int of 32 bytes in CPython; two of 10⁶ devices share a key once in 10⁶ fleets
_STAMP = (1 << 32) - 1
_STAMPS = (1 << 64) - 1
_CHUNK = 16_384  # entries written at a time: a list of all of them would show in the peak of the memory
_MAX_NAME = 256  # characters of a hostname, and of a uid, that are kept
_CLOCK_DOUBT = 60  # seconds: a clock that was ahead by less is waited for, so that no two rounds have one beginning


class Hasher:
    """Hashes of 64 bits, keyed by a secret. One that is made once and copied costs half of one made anew for each value."""

    def __init__(self, secret: bytes = b"") -> None:
        self._begun = blake2b(digest_size=8, key=secret)

    def __call__(self, value: bytes) -> bytes:
        hashing = self._begun.copy()
        hashing.update(value)
        return hashing.digest()


_UNKEYED = Hasher()


def key_of(identity: str, hasher: Hasher = _UNKEYED) -> int:
    """A device's key: 60 bits of a hash of its identity at the vendor."""
    return int.from_bytes(hasher(identity.encode(errors="replace"))) & _KEY


def fingerprint(event: dict[str, Any], written: bytes | None = None, hasher: Hasher = _UNKEYED) -> int:
    """64 bits of a hash of the event without what a heartbeat moves (`time`, `device.last_seen_time`).

    `written`: the event as JSON, where that is made already; its members are in the order the mapper gives them in.
    """
    stable = orjson.dumps(event) if written is None else written
    time, seen = orjson.dumps([event.get("time"), event["device"].get("last_seen_time")])[1:-1].split(b",")
    before, _, after = stable.partition(b'"time":' + time)
    stable = before.removesuffix(b",") + after  # as if it had never been present
    before, _, after = stable.rpartition(b'"last_seen_time":' + seen)  # from the end that is nearer
    stable = before.removesuffix(b",") + after
    return int.from_bytes(hasher(stable))


class Fingerprints:
    """Key → content, delivered, met, in one number of 48 bytes; times are the beginning of a round, epoch seconds.

    The file is replaced as a whole by `save`, and has a generation: the count of its writes. `lost`: nothing is stored,
    or it could not be read. `restored`: the copy from before was read in its place. `width`: bytes of a content.
    `complete_walks`: when the last three full walks began that missed no device. `max_described`: devices whose
    description is kept.
    """

    max_described = 20_000  # some 180 bytes each: the inventory needs them for its log only

    def __init__(self, path: Path, width: int = 8) -> None:
        self.path = path
        self.width = width
        self._key_hashes(os.urandom(16))  # others can choose the values that are hashed
        self.generation = 0
        self.lost = self.restored = self.unsaved = False
        self.began = 0  # the latest round
        self.complete_walks: list[int] = []
        self._known: dict[int, int] = {}
        self._descriptions: dict[int, bytes] = {}  # a JSON list, and a line feed
        self._presences: dict[int, str] = {}  # of those that are SILENT or GONE
        self._head = read_bytes(path, HEAD.size)
        self._copied = False
        self._load()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def found(self) -> bool:
        """Whether anything was stored, readable or not."""
        return self._head is not None or self.restored

    def _key_hashes(self, secret: bytes) -> None:
        self._secret, self.hasher = secret, Hasher(secret)

    # --- what is known

    def content(self, event: dict[str, Any], written: bytes) -> int:
        """What is compared of an event, of which `written` is the JSON."""
        return fingerprint(event, written, self.hasher)

    def key(self, identity: str) -> int:
        return key_of(identity, self.hasher)

    def begin(self, now: float) -> int:
        """The stamp of a round that begins: later than those before, unless the clock was far ahead then."""
        began = int(now)
        if self.began - began >= _CLOCK_DOUBT:  # then no device was met later than now
            self.complete_walks = []
            for key in self._known.keys() - self._not_met_since(began):
                self._known[key] += began - 1 - (self._known[key] & _STAMP)
        self.began = self.began + 1 if 0 <= self.began - began < _CLOCK_DOUBT else began
        return self.began

    def meet(self, key: int, stamp: int) -> tuple[int, int, int] | None:
        """Content, delivered and met as known before; from now on it was met at `stamp`. None when it is not known."""
        value = self._known.get(key)
        if value is None:
            return None
        met = value & _STAMP
        if met != stamp:
            self._known[key] = value - met + stamp
            self.unsaved = True
        return value >> 64, value >> 32 & _STAMP, met

    def deliver(self, entries: Iterable[tuple[int, int]], delivered: int, met: int) -> None:
        """Remember contents as delivered."""
        stamps = delivered << 32 | met
        for key, content in entries:
            self._known[key] = content << 64 | stamps
            self.unsaved = True

    def doubt(self, keys: Iterable[int]) -> None:
        """Devices that were sent, perhaps without arriving: whatever they are when they are met again is sent."""
        for key in self._known.keys() & keys:
            self._known[key] &= _STAMPS
            self.unsaved = True

    def settle_pending(self, delivered: int) -> None:
        """What is `PENDING` was delivered then: 0 has it sent again by the next full walk."""
        for key, value in self._known.items():
            if value >> 32 & _STAMP == PENDING:
                self._known[key] = value + (delivered - PENDING << 32)
                self.unsaved = True

    def forget(self, now: int) -> None:
        """Drop what was not met for 30 days before `now`."""
        for key in self._not_met_since(now - FORGOTTEN_AFTER + 1):
            del self._known[key]
            self._descriptions.pop(key, None)
            self._presences.pop(key, None)
            self.unsaved = True

    def clear(self) -> None:
        """Forget every device."""
        self._known.clear()
        self._descriptions.clear()
        self._presences.clear()
        self.complete_walks = []
        self.unsaved |= self.found

    # --- what is known of devices that are absent

    def describe(self, key: int, uid: str, hostname: str, *others: Any) -> None:
        """Keep what a report of the device's absence would hold; nothing under a uid that is no usual one."""
        has_room = key in self._descriptions or len(self._descriptions) < self.max_described
        if has_room and len(uid) <= _MAX_NAME:
            description = orjson.dumps((uid, hostname[:_MAX_NAME], *others))
            self._descriptions[key] = description + b"\n"  # a copy: orjson's own has a kilobyte

    def description(self, key: int) -> list[Any] | None:
        described = self._descriptions.get(key)
        return orjson.loads(described) if described else None

    def presence(self, key: int) -> str:
        """`SILENT`, `GONE` or ""."""
        return self._presences.get(key, "")

    def set_presence(self, key: int, presence: str) -> None:
        if presence:
            self._presences[key] = presence
        else:
            self._presences.pop(key, None)
        self.unsaved = True

    def absent_after_complete_walk(self, began: int, *, confirmed: bool) -> list[int]:
        """A full walk missed no device → the devices that neither it nor the complete one before met.

        Not `confirmed` by a total of the vendor's, a list that lost more than half of the devices may be cut: those count
        as absent only after a third walk.
        """
        self.complete_walks = [*self.complete_walks[-2:], began]
        self.unsaved = True
        third, second, _ = [0, 0, *self.complete_walks][-3:]
        absent = self._not_met_since(second)
        unreported = sum(self.presence(key) != GONE for key in absent)
        if unreported and not confirmed and unreported > len(self._known) - len(self._not_met_since(began)):
            absent = self._not_met_since(third)
        return absent

    def _not_met_since(self, stamp: int) -> list[int]:
        return [key for key, value in self._known.items() if value & _STAMP < stamp]

    # --- on the storage

    def save(self) -> None:
        """Replace the file, if anything changed. TryAgain when another process wrote it since it was read."""
        if not self.unsaved:
            return
        if read_bytes(self.path, HEAD.size) != self._head:
            raise overtaken(self.path)
        if not self._copied and self._head and not self.restored:
            write_bytes(spare_of(self.path), read_bytes(self.path) or b"")
        body = self._body()
        fields = (_MAGIC, self._secret, self.generation + 1, len(self._known), self.width, zlib.crc32(body))
        head = HEAD.pack(*fields, zlib.crc32(HEAD.pack(*fields, 0)))
        write_bytes(self.path, head, body)
        self._head, self._copied = head, True
        self.generation += 1
        self.lost = self.restored = self.unsaved = False

    def begin_copy(self) -> None:
        """The next `save` keeps a copy of what it replaces."""
        self._copied = False

    def _body(self) -> bytearray:
        """Keys, contents, then compressed the stamps, then the complete walks and a line of description for each key."""
        body = bytearray(array("Q", self._known).tobytes())
        stamps, entries, packer = bytearray(), iter(self._known.items()), zlib.compressobj(1)
        described = bytearray(packer.compress(orjson.dumps(self.complete_walks) + b"\n"))
        while chunk := list(islice(entries, _CHUNK)):
            body += b"".join((value >> 64).to_bytes(self.width, "little") for _, value in chunk)
            stamps += array("Q", [value & _STAMPS for _, value in chunk]).tobytes()
            lines = (self.presence(key).encode() + self._descriptions.get(key, b"\n") for key, _ in chunk)
            described += packer.compress(b"".join(lines))
        return body + zlib.compress(stamps, 1) + described + packer.flush()

    def _load(self) -> None:
        if not self._read(read_bytes(self.path)):
            self.restored = self._read(read_bytes(spare_of(self.path)))
            self.lost = not self.restored
        self.settle_pending(0)  # of a process that was killed

    def _read(self, stored: bytes | None) -> bool:
        """Whether it could be read, every byte of it."""
        if stored is None or len(stored) < HEAD.size:
            return False
        magic, secret, generation, entries, width, checksum, own = HEAD.unpack_from(stored)
        fields = (magic, secret, generation, entries, width, checksum)
        if magic != _MAGIC or width != self.width or own != zlib.crc32(HEAD.pack(*fields, 0)):
            return False
        body = memoryview(stored)[HEAD.size :]
        if zlib.crc32(body) != checksum:
            return False
        keys, contents = array("Q", bytes(body[: 8 * entries])), body[8 * entries : (8 + width) * entries]
        unpacker = zlib.decompressobj()
        stamps = array("Q", unpacker.decompress(body[(8 + width) * entries :]))
        self._key_hashes(secret)
        self.generation = generation
        self._known = {
            key: int.from_bytes(contents[at * width : (at + 1) * width], "little") << 64 | stamps[at]
            for at, key in enumerate(keys)
        }
        self.began = max((stamp & _STAMP for stamp in stamps), default=0)
        if unpacker.unused_data:  # absent in the files of earlier releases
            walks, *lines = zlib.decompress(unpacker.unused_data).splitlines(keepends=True)
            self.complete_walks = orjson.loads(walks)
            for key, line in zip(self._known, lines, strict=True):
                if presence := line[: line.find(b"[")].decode():
                    self._presences[key] = presence
                if len(line) > len(presence) + 1:
                    self._descriptions[key] = line[len(presence) :]
        return True
