"""What was delivered of each device: kept through crashes, refreshed once an interval, forgotten with the device."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TryAgain
from shared.state import fingerprints as module
from shared.state.fingerprints import Fingerprints, fingerprint, key_of

A, B, C = key_of("a"), key_of("b"), key_of("c")
ONE, TWO = fingerprint({"device": {"uid": "1"}}), fingerprint({"device": {"uid": "2"}})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fingerprints.bin"


def known(path: Path, key: int, value: int = ONE, *, refresh: bool = False) -> bool:
    """Whether a process that starts now knows it."""
    return Fingerprints(path).is_delivered(key, value, refresh=refresh)


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
    value = fingerprint({"device": {"uid": uid}})
    assert 0 <= value < 2**60
    assert value & 3 == 0


# --- what is known


def test_only_what_was_delivered_as_it_is_counts(path: Path) -> None:
    prints = Fingerprints(path)
    assert not prints.is_delivered(A, ONE, refresh=False)
    prints.deliver({A: ONE})
    assert prints.is_delivered(A, ONE, refresh=False)
    assert not prints.is_delivered(A, TWO, refresh=False)
    assert not prints.is_delivered(B, ONE, refresh=False)


def test_what_is_delivered_is_known_after_a_crash_right_behind_it(path: Path) -> None:
    prints = Fingerprints(path)
    prints.deliver({A: ONE})
    prints.deliver({B: TWO})
    prints.deliver({A: TWO})
    assert known(path, A, TWO)
    assert known(path, B, TWO)
    assert not known(path, A, ONE)


def test_delivering_nothing_writes_nothing(path: Path) -> None:
    Fingerprints(path).deliver({})
    assert not path.exists()


@given(st.lists(st.dictionaries(st.integers(0, 2**60 - 1), st.integers(0, 2**58 - 1).map(lambda n: n << 2))))
def test_any_deliveries_are_known_to_the_next_process(tmp_path_factory: Any, deliveries: list[dict[int, int]]) -> None:
    path = tmp_path_factory.mktemp("state") / "fingerprints.bin"
    prints, expected = Fingerprints(path), {}
    for delivery in deliveries:
        prints.deliver(delivery)
        expected.update(delivery)
    again = Fingerprints(path)
    assert len(again) == len(expected)
    assert all(again.is_delivered(key, value, refresh=False) for key, value in expected.items())


# --- on the disk


def test_the_file_is_its_owners_only(path: Path) -> None:
    before = os.umask(0)
    try:
        prints = Fingerprints(path)
        for key in (A, B):
            prints.deliver({key: ONE})
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_block_a_crash_tore_is_dropped_wherever_it_was_torn(path: Path) -> None:
    prints = Fingerprints(path)
    prints.deliver({A: ONE})
    whole = path.read_bytes()
    prints.deliver({B: ONE})
    content = path.read_bytes()

    for size in range(len(whole), len(content)):
        path.write_bytes(content[:size])
        assert known(path, A)
        assert not known(path, B)


def test_after_a_torn_block_the_next_delivery_makes_the_file_whole(path: Path) -> None:
    """Appended behind a torn block, everything delivered from then on would be unreadable."""
    prints = Fingerprints(path)
    prints.deliver({A: ONE})
    path.write_bytes(path.read_bytes() + b"\x05\x00\x00\x00torn")

    Fingerprints(path).deliver({B: ONE})

    assert known(path, A)
    assert known(path, B)


@pytest.mark.parametrize("at", [0, 5, 9, 15, 25])
def test_a_damaged_byte_costs_a_resend_and_nothing_else(path: Path, at: int) -> None:
    Fingerprints(path).deliver({A: ONE})
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)

    prints = Fingerprints(path)
    assert not prints.is_delivered(A, ONE, refresh=False)
    prints.deliver({A: ONE})
    assert known(path, A)


@pytest.mark.parametrize("content", [b"", b"fp", b"fp01", b"other format", b"\x00" * 100, b"fp01" + b"\x00" * 101])
def test_a_file_that_is_none_of_ours_is_replaced_by_the_next_delivery(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    prints = Fingerprints(path)
    assert len(prints) == 0
    prints.deliver({A: ONE})
    assert known(path, A)


def test_a_disk_that_was_full_for_a_moment_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a block stays behind; what follows must not be appended to it."""
    prints = Fingerprints(path)
    prints.deliver({A: ONE})

    def half(target: Path, content: bytes) -> None:
        target.write_bytes(target.read_bytes() + content[: len(content) // 2])
        raise TryAgain("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module, "append_bytes", half)
        with pytest.raises(TryAgain):
            prints.deliver({B: ONE})
    prints.deliver({C: ONE})

    assert known(path, A)
    assert known(path, B)
    assert known(path, C)


def test_a_log_of_many_changes_is_made_short_at_the_next_start(path: Path) -> None:
    prints = Fingerprints(path)
    for n in range(300):
        prints.deliver(dict.fromkeys(range(50), (n << 2) + 4))
    long = path.stat().st_size

    again = Fingerprints(path)
    again.deliver({A: ONE})

    assert path.stat().st_size < long / 50
    assert known(path, 7, (299 << 2) + 4)
    assert known(path, A)


def test_the_end_of_a_full_walk_makes_the_file_short(path: Path) -> None:
    prints = Fingerprints(path)
    prints.begin_full_walk()
    for n in range(20):
        prints.deliver({A: n << 2})
    prints.end_full_walk()
    assert path.stat().st_size == 6 + 8 + 16


def test_saving_what_is_saved_writes_nothing(path: Path) -> None:
    prints = Fingerprints(path)
    prints.deliver({A: ONE})
    before = path.stat().st_ino, path.stat().st_mtime_ns
    prints.save()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before


# --- full walks


def full_walk(prints: Fingerprints, *devices: int) -> list[int]:
    """A full walk over the devices → those it sends."""
    prints.begin_full_walk()
    sent = [key for key in devices if not prints.is_delivered(key, ONE, refresh=True)]
    prints.deliver(dict.fromkeys(sent, ONE))
    prints.end_full_walk()
    return sent


def test_each_full_walk_sends_what_was_not_delivered_since_the_last_one_ended(path: Path) -> None:
    prints = Fingerprints(path)
    assert full_walk(prints, A, B) == [A, B]
    assert full_walk(prints, A, B) == [A, B]
    prints.deliver({B: ONE})
    assert full_walk(prints, A, B) == [A]
    assert full_walk(prints, A, B) == [A, B]


def test_between_full_walks_what_is_unchanged_is_not_sent(path: Path) -> None:
    prints = Fingerprints(path)
    full_walk(prints, A)
    assert prints.is_delivered(A, ONE, refresh=False)
    assert not prints.is_delivered(A, ONE, refresh=True)


def test_a_restart_does_not_forget_what_a_full_walk_has_sent(path: Path) -> None:
    prints = Fingerprints(path)
    full_walk(prints, A, B)
    prints.begin_full_walk()
    prints.deliver({A: ONE})

    assert full_walk(Fingerprints(path), A, B) == [B]


def test_a_device_a_full_walk_does_not_meet_is_forgotten(path: Path) -> None:
    """Else the file grows with every device there ever was, and one that comes back is not sent."""
    prints = Fingerprints(path)
    full_walk(prints, A, B)
    full_walk(prints, B)
    assert not prints.is_delivered(A, ONE, refresh=False)
    assert len(prints) == len(Fingerprints(path)) == 1


def test_a_changed_device_that_was_met_is_not_forgotten(path: Path) -> None:
    prints = Fingerprints(path)
    full_walk(prints, A)
    prints.begin_full_walk()
    assert not prints.is_delivered(A, TWO, refresh=True)
    prints.end_full_walk()
    assert prints.is_delivered(A, ONE, refresh=False)


def test_a_walk_that_stopped_halfway_forgets_nothing(path: Path) -> None:
    prints = Fingerprints(path)
    full_walk(prints, A, B)
    prints.begin_full_walk()
    prints.is_delivered(A, ONE, refresh=True)

    for again in (prints, Fingerprints(path)):
        assert again.is_delivered(A, ONE, refresh=False)
        assert again.is_delivered(B, ONE, refresh=False)


def test_what_a_stopped_walk_met_does_not_save_it_from_the_next(path: Path) -> None:
    prints = Fingerprints(path)
    full_walk(prints, A, B)
    prints.begin_full_walk()
    prints.is_delivered(A, ONE, refresh=True)
    full_walk(prints, B)
    assert len(prints) == 1


# --- the platform's object storage


class Bucket(type(Path())):
    """An object storage in memory, as the SDK's S3Path behaves."""

    objects: ClassVar[dict[str, bytes]] = {}
    writes: ClassVar[list[tuple[str, int]]] = []

    def exists(self) -> bool:
        return self.name in self.objects

    def read_bytes(self) -> bytes:
        return self.objects[self.name]

    def write_bytes(self, data: bytes) -> int:
        self.objects[self.name] = data
        self.writes.append((self.name, len(data)))
        return len(data)


@pytest.fixture
def bucket() -> Bucket:
    Bucket.objects.clear()
    Bucket.writes.clear()
    return Bucket("/bucket/fingerprints.bin")


def test_each_delivery_is_stored_at_once_without_rewriting_the_fleet(bucket: Bucket) -> None:
    """An object cannot be appended to: a fleet's file for each batch would be gigabytes an hour."""
    prints = Fingerprints(bucket)
    prints.deliver(dict.fromkeys(range(20_000), ONE))
    whole = len(bucket.objects["fingerprints.bin"])
    for key in range(100):
        prints.deliver({key: TWO})
        assert known(bucket, key, TWO)
    assert {name for name, _ in bucket.writes[1:]} == {"recent-fingerprints.bin"}
    assert sum(size for _, size in bucket.writes[1:]) < whole / 2
    assert known(bucket, 19_999)


def test_many_deliveries_are_gathered_into_the_whole_now_and_then(bucket: Bucket) -> None:
    prints = Fingerprints(bucket)
    for n in range(100):
        prints.deliver(dict.fromkeys(range(1000 * n, 1000 * n + 1000), ONE))
    assert sum(size for _, size in bucket.writes) < 20 * 100_000 * 16
    assert len(Fingerprints(bucket)) == 100_000


def test_recent_entries_of_an_older_whole_are_not_taken_for_newer(bucket: Bucket) -> None:
    """A crash between the two writes would otherwise bring back what was delivered before."""
    prints = Fingerprints(bucket)
    prints.deliver({A: ONE})
    prints.deliver({B: ONE})
    recent = bucket.objects["recent-fingerprints.bin"]
    prints.deliver({B: TWO})
    prints.begin_full_walk()
    prints.is_delivered(A, ONE, refresh=True)
    prints.is_delivered(B, TWO, refresh=True)
    prints.end_full_walk()
    bucket.objects["recent-fingerprints.bin"] = recent
    assert known(bucket, B, TWO)


def test_what_could_not_be_stored_is_stored_with_the_next(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    prints = Fingerprints(bucket)
    prints.deliver({A: ONE})
    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError("away")))
        with pytest.raises(TryAgain):
            prints.deliver({B: ONE})
    prints.deliver({C: ONE})
    assert known(bucket, B)
    assert known(bucket, C)


# --- what is told of a loss


def test_a_torn_end_is_no_loss_and_anything_else_is(path: Path) -> None:
    prints = Fingerprints(path)
    assert prints.lost
    prints.deliver({A: ONE})
    prints.deliver({B: ONE})
    assert not prints.lost
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert not Fingerprints(path).lost
    for broken in (b"x" + content[1:], content[:-1] + b"x", content[:20] + b"x" + content[21:]):
        path.write_bytes(broken)
        assert Fingerprints(path).lost
