"""The memory of each device: kept through crashes, never taken from a damaged file, forgotten after thirty days."""

from __future__ import annotations

import io
import os
import stat
import zlib
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TryAgain
from shared.state.fingerprints import (
    FORGOTTEN_AFTER,
    GONE,
    HEAD,
    PENDING,
    SILENT,
    Fingerprints,
    fingerprint,
    key_of,
)

A, B, C = key_of("a"), key_of("b"), key_of("c")
ONE, TWO = fingerprint({"device": {"uid": "1"}}), fingerprint({"device": {"uid": "2"}})
NOW = 1_764_170_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fingerprints.bin"


def stored(path: Path, *entries: tuple[int, int]) -> Fingerprints:
    memory = Fingerprints(path)
    memory.deliver(entries, NOW, NOW)
    memory.save()
    return memory


# --- the hash


def test_a_heartbeat_changes_no_fingerprint() -> None:
    before = {"time": 1.0, "device": {"uid": "a", "last_seen_time": 1.0, "hostname": "pc"}}
    after = {"time": 2.0, "device": {"uid": "a", "last_seen_time": 2.0, "hostname": "pc"}}
    assert fingerprint(before) == fingerprint(after)


def test_a_first_sign_of_life_changes_none_either() -> None:
    never = {"class_uid": 5001, "time": 1.0, "device": {"uid": "a", "hostname": "pc"}}
    for seen in (
        {"uid": "a", "last_seen_time": 3.0, "hostname": "pc"},
        {"uid": "a", "hostname": "pc", "last_seen_time": 3.0},
    ):
        assert fingerprint({**never, "time": 3.0, "device": seen}) == fingerprint(never)


@pytest.mark.parametrize(
    "changed",
    [
        {"device": {"uid": "a", "hostname": "other"}},
        {"device": {"uid": "a"}},
        {"device": {"uid": "a", "hostname": "pc", "boot_time": 1.0}},
        {"device": {"uid": "a", "hostname": "pc"}, "enrichments": []},
    ],
)
def test_any_other_change_changes_it(changed: dict[str, Any]) -> None:
    assert fingerprint(changed) != fingerprint({"device": {"uid": "a", "hostname": "pc"}})


def test_making_a_fingerprint_leaves_the_event_as_it_is() -> None:
    event = {"time": 1.0, "device": {"uid": "a", "last_seen_time": 1.0}}
    fingerprint(event)
    assert event == {"time": 1.0, "device": {"uid": "a", "last_seen_time": 1.0}}


@pytest.mark.parametrize("device", [{"uid": "a", "last_seen_time": 1704608768.668}, {"uid": "a", "desc": '"time":1.0'}])
def test_the_events_json_need_not_be_made_twice(device: dict[str, Any]) -> None:
    event = {"class_uid": 5001, "device": device, "time": 1.0}
    assert fingerprint(event, orjson.dumps(event)) == fingerprint(event)
    assert fingerprint({**event, "time": 2.5}) == fingerprint(event)
    assert fingerprint({**event, "device": {**device, "desc": '"time":2.0'}}) != fingerprint(event)


@given(st.text())
def test_keys_and_fingerprints_fit_their_bits(uid: str) -> None:
    assert 0 <= key_of(uid) < 2**60
    assert 0 <= fingerprint({"device": {"uid": uid}}) < 2**64


def test_hashes_are_keyed_by_random_bytes_that_are_stored_with_them(path: Path) -> None:
    """Two values with one hash, found beforehand, would hide a change."""
    memory, other = stored(path, (A, ONE)), Fingerprints(path.with_name("other"))
    event: dict[str, Any] = {"device": {"uid": "a"}}
    assert memory.key("a") != other.key("a")
    assert memory.content(event, orjson.dumps(event)) != other.content(event, orjson.dumps(event))
    again = Fingerprints(path)
    assert again.key("a") == memory.key("a")
    assert again.content(event, orjson.dumps(event)) == memory.content(event, orjson.dumps(event))


# --- what is known


def test_content_delivery_and_meeting_are_facts_of_their_own(path: Path) -> None:
    memory = Fingerprints(path)
    assert memory.meet(A, NOW) is None
    memory.deliver([(A, ONE)], NOW, NOW)
    assert memory.meet(A, NOW + 60) == (ONE, NOW, NOW)
    assert memory.meet(A, NOW + 60) == (ONE, NOW, NOW + 60)
    memory.deliver([(A, TWO)], NOW + 60, NOW + 60)
    assert memory.meet(A, NOW + 90) == (TWO, NOW + 60, NOW + 60)
    assert memory.meet(B, 0) is None


def test_each_round_begins_later_than_the_one_before(path: Path) -> None:
    memory = Fingerprints(path)
    assert [memory.begin(NOW + after) for after in (0.2, 0.4, 0.9, 9)] == [NOW, NOW + 1, NOW + 2, NOW + 9]
    memory.deliver([(A, ONE)], NOW, memory.began)
    memory.save()
    assert Fingerprints(path).begin(NOW + 9.5) == NOW + 10


def test_a_clock_that_was_far_ahead_is_not_followed(path: Path) -> None:
    memory = Fingerprints(path)
    memory.begin(NOW + 9 * 3600)
    assert memory.begin(NOW) == NOW


def test_a_device_that_was_not_met_for_thirty_days_is_forgotten(path: Path) -> None:
    memory = stored(path, (A, ONE), (B, ONE))
    memory.meet(B, NOW + 60)
    memory.forget(NOW + FORGOTTEN_AFTER - 1)
    assert len(memory) == 2
    memory.forget(NOW + FORGOTTEN_AFTER)
    memory.save()
    assert len(memory) == len(Fingerprints(path)) == 1
    assert memory.meet(B, 0)[0] == ONE


@pytest.mark.parametrize("delivered", [0, NOW])
def test_pending_deliveries_are_settled_and_no_others(path: Path, delivered: int) -> None:
    memory = stored(path, (A, ONE))
    memory.deliver([(B, TWO)], PENDING, NOW)
    memory.settle_pending(delivered)
    assert memory.meet(A, NOW) == (ONE, NOW, NOW)
    assert memory.meet(B, NOW) == (TWO, delivered, NOW)


def test_what_was_pending_when_the_process_was_killed_is_sent_again(path: Path) -> None:
    memory = Fingerprints(path)
    memory.deliver([(B, TWO)], PENDING, NOW)
    memory.save()
    assert Fingerprints(path).meet(B, NOW) == (TWO, 0, NOW)


# --- devices that are absent


def walked(memory: Fingerprints, number: int, *met: int, confirmed: bool = True) -> list[int]:
    """A complete full walk, the n-th, that meets these devices; → those that are absent."""
    began = memory.begin(NOW + number * 3600)
    for key in met:
        memory.meet(key, began)
    return memory.absent_after_complete_walk(began, confirmed=confirmed)


def test_absent_is_who_two_complete_walks_did_not_meet(path: Path) -> None:
    memory = stored(path, (A, ONE), (B, ONE), (C, ONE))
    assert walked(memory, 1, A, B, C) == []
    assert walked(memory, 2, A) == []
    memory.meet(C, memory.begin(NOW + 2.5 * 3600))  # by a walk that was not complete
    assert walked(memory, 3, A) == [B]
    assert walked(memory, 4, A) == [B, C]
    assert walked(memory, 5, A, C) == [B]


@pytest.mark.parametrize(("listed", "walks"), [(5, 2), (4, 3)])
def test_a_list_without_a_total_that_lost_more_than_half_has_to_be_confirmed(
    path: Path, listed: int, walks: int
) -> None:
    keys = [key_of(str(n)) for n in range(10)]
    memory = stored(path, *((key, ONE) for key in keys))
    walked(memory, 0, *keys, confirmed=False)
    for number in range(1, walks):
        assert walked(memory, number, *keys[:listed], confirmed=False) == []
    assert walked(memory, walks, *keys[:listed], confirmed=False) == keys[listed:]
    for key in keys[listed:]:
        memory.set_presence(key, GONE)
    assert walked(memory, walks + 1, *keys[1:listed], confirmed=False) == keys[listed:]
    assert walked(memory, walks + 2, *keys[1:listed], confirmed=False) == [keys[0], *keys[listed:]], (
        "those reported do not count"
    )


def test_after_a_clock_that_was_far_ahead_nobody_is_absent_until_two_further_walks(path: Path) -> None:
    """Walks of the past day began later than the next one: the complete fleet was gone."""
    memory = stored(path, (A, ONE), (B, ONE))
    for number in (24, 25):
        walked(memory, number, A, B)
    assert [walked(memory, number, A) for number in (1, 2)] == [[], [B]]


def test_description_presence_and_complete_walks_outlive_a_restart(path: Path) -> None:
    memory = stored(path, (A, ONE), (B, ONE), (C, ONE))
    memory.describe(A, "uid\nwith [brackets]", "läptop", None, 2, 1.5)
    memory.set_presence(A, SILENT)
    memory.describe(A, "uid", "läptop", "Desktop", 2, 2.5)
    memory.set_presence(B, GONE)
    walked(memory, 1, A)
    memory.save()
    again = Fingerprints(path)
    assert again.description(A) == ["uid", "läptop", "Desktop", 2, 2.5]
    assert [again.presence(key) for key in (A, B, C)] == [SILENT, GONE, ""]
    assert again.description(B) is None
    assert again.complete_walks == memory.complete_walks != []
    again.set_presence(A, "")
    assert again.presence(A) == ""
    again.clear()
    again.save()
    assert (Fingerprints(path).description(A), Fingerprints(path).complete_walks) == (None, [])


def test_a_complete_walk_is_stored_also_when_nothing_else_changed_since_the_last_write(path: Path) -> None:
    memory = stored(path, (A, ONE))
    began = memory.begin(NOW + 60)
    memory.meet(A, began)
    memory.save()
    memory.absent_after_complete_walk(began, confirmed=True)
    memory.save()
    assert Fingerprints(path).complete_walks == [began]


def test_descriptions_are_kept_of_so_many_devices(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fingerprints, "max_described", 1)
    memory = stored(path, (A, ONE), (B, ONE))
    for hostname in ("one", "two"):
        memory.describe(A, "a", hostname)
        memory.describe(B, "b", hostname)
    assert (memory.description(A), memory.description(B)) == (["a", "two"], None)


def test_a_file_of_a_release_without_descriptions_is_read(path: Path) -> None:
    """Else each device was sent once more after the update."""
    memory = stored(path, (A, ONE), (B, TWO))
    content = path.read_bytes()
    head, body = content[: HEAD.size], content[HEAD.size :]
    unpacker = zlib.decompressobj()
    at = len(memory) * 16
    unpacker.decompress(body[at:])
    body = body[: len(body) - len(unpacker.unused_data)]
    magic, secret, generation, entries, width, *_ = HEAD.unpack(head)
    fields = (magic, secret, generation, entries, width, zlib.crc32(body))
    path.write_bytes(HEAD.pack(*fields, zlib.crc32(HEAD.pack(*fields, 0))) + body)
    again = Fingerprints(path)
    assert not again.lost
    assert (again.meet(A, 0)[0], again.meet(B, 0)[0], again.complete_walks) == (ONE, TWO, [])


# --- on the disk


@given(
    st.dictionaries(st.integers(0, 2**60 - 1), st.integers(0, 2**64 - 1), max_size=40),
    st.integers(2, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_all_that_was_saved_is_known_to_the_next_process(
    tmp_path_factory: Any, entries: dict[int, int], delivered: int, met: int
) -> None:
    path = tmp_path_factory.mktemp("state") / "fingerprints.bin"
    memory = Fingerprints(path)
    memory.deliver(entries.items(), delivered, met)
    memory.save()
    again = Fingerprints(path)
    assert {key: again.meet(key, met) for key in entries} == {
        key: (content, delivered, met) for key, content in entries.items()
    }


def test_contents_of_any_width_are_stored(path: Path) -> None:
    memory = Fingerprints(path, 240)
    memory.deliver([(A, 2**1919 + 5)], NOW, NOW)
    memory.save()
    assert Fingerprints(path, 240).meet(A, 0)[0] == 2**1919 + 5
    assert Fingerprints(path, 232).lost


def test_a_million_devices_fit_forty_megabytes_with_the_copy_from_before(path: Path) -> None:
    memory = stored(path, *((key_of(str(n)), hash(str(n)) & 2**64 - 1) for n in range(20_000)))
    memory.begin_copy()
    memory.deliver([(A, ONE)], NOW + 60, NOW + 60)
    memory.save()
    assert sum(file.stat().st_size for file in path.parent.iterdir()) < 20_000 * 40


def test_the_file_is_its_owners_only(path: Path) -> None:
    before = os.umask(0)
    try:
        memory = stored(path, (A, ONE))
        memory.begin_copy()
        memory.deliver([(B, ONE)], NOW, NOW)
        memory.save()
        assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {
            "fingerprints.bin": 0o600,
            "fingerprints.bin.bak": 0o600,
        }
    finally:
        os.umask(before)


def test_every_byte_of_the_file_counts(path: Path) -> None:
    """A bit in a header, or one byte less, made a whole fleet new."""
    stored(path, (A, ONE), (B, TWO))
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert Fingerprints(path).lost, f"byte {at}"
    for size in (*range(len(content)), len(content) + 1):
        path.write_bytes((content + b"x")[:size])
        assert Fingerprints(path).lost, f"{size} bytes"


def test_a_damaged_file_has_a_copy_from_before_and_says_so(path: Path) -> None:
    memory = stored(path, (A, ONE))
    memory.begin_copy()
    memory.deliver([(A, TWO)], NOW, NOW)
    memory.save()
    path.write_bytes(path.read_bytes()[:-1])
    again = Fingerprints(path)
    assert (again.meet(A, 0)[0], again.restored, again.lost) == (ONE, True, False)
    again.deliver([(B, ONE)], NOW, NOW)
    again.save()
    assert not again.restored
    assert Fingerprints(path).meet(A, 0)[0] == ONE


def test_each_write_is_a_generation(path: Path) -> None:
    memory = stored(path, (A, ONE))
    assert memory.generation == Fingerprints(path).generation == 1
    memory.save()
    assert memory.generation == 1, "nothing changed"
    memory.meet(A, NOW + 1)
    memory.save()
    assert memory.generation == Fingerprints(path).generation == 2


def test_a_second_writer_is_found_out_and_undoes_nothing(path: Path) -> None:
    first, second = stored(path, (A, ONE)), Fingerprints(path)
    second.deliver([(B, TWO)], NOW, NOW)
    second.save()
    first.deliver([(C, ONE)], NOW, NOW)
    with pytest.raises(TryAgain, match="Only one connector may use this storage"):
        first.save()
    assert Fingerprints(path).meet(B, 0)[0] == TWO


def test_what_is_cleared_is_forgotten_by_the_next_process_too(path: Path) -> None:
    memory = stored(path, (A, ONE))
    memory.clear()
    memory.save()
    assert len(Fingerprints(path)) == 0


# --- the platform's object storage


class Bucket(type(Path())):
    """An object storage in memory, as the SDK's S3Path behaves."""

    objects: ClassVar[dict[str, bytes]] = {}

    def exists(self) -> bool:
        return self.name in self.objects

    def read_bytes(self) -> bytes:
        return self.objects[self.name]

    def write_bytes(self, data: bytes) -> int:
        self.objects[self.name] = data
        return len(data)

    def open(self, *_: Any, **__: Any) -> Any:
        return io.BytesIO(self.objects[self.name])


def test_an_object_is_read_and_replaced_whole_with_its_copy_from_before() -> None:
    Bucket.objects.clear()
    bucket = Bucket("/bucket/fingerprints.bin")
    memory = stored(bucket, (A, ONE))
    memory.begin_copy()
    memory.deliver([(A, TWO)], NOW, NOW)
    memory.save()
    assert Fingerprints(bucket).meet(A, 0)[0] == TWO
    Bucket.objects["fingerprints.bin"] = b""
    assert Fingerprints(bucket).meet(A, 0)[0] == ONE


def test_of_a_hostname_of_a_megabyte_a_beginning_is_kept(path: Path) -> None:
    """A page of such hosts filled the memory, and the state with it."""
    memory = Fingerprints(path)
    memory.deliver([(A, ONE)], 1, 1)
    memory.describe(A, "a", "h" * 1_000_000, "Server", 1, None)
    memory.describe(B, "u" * 1_000_000, "host", "Server", 1, None)
    assert memory.description(A) == ["a", "h" * 256, "Server", 1, None]
    assert memory.description(B) is None
