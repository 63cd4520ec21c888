"""Finding the one among many that the platform refuses, by smaller and smaller batches, round after round."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.devices.refusals import Refusals
from shared.errors import TryAgain, UnexpectedReply


class Bench:
    """Rounds over numbers, in batches of as many as they may share; `refused` are those that the platform does not take."""

    def __init__(self, numbers: int, most: int, *, for_good: bool) -> None:
        self.left = list(range(numbers))
        self.refused: set[int] = set()
        self.outage = range(0)  # numbers of batches of which none is taken
        self.refusals: Refusals[int] = Refusals("number", for_good=for_good)
        self.skipped: list[int] = []
        self.sent = 0
        self._most, self._for_good = most, for_good

    def run(self) -> None:
        """One round; raises what it ends with."""
        refusals = self.refusals
        refusals.begin()
        batch: list[int] = []
        most = self._most
        for number in [*self.left]:
            limit = refusals.most(number, str(number)) if number in refusals else self._most
            if limit == 0:
                continue
            before, most = most, limit
            if batch and (len(batch) >= most or most != before):
                self._send(batch)
                batch = []
            batch.append(number)
        if batch:
            self._send(batch)
        for number, name, reason in refusals.settled():
            assert (name, reason.field) == (str(number), "refused by the platform")
            self.skipped.append(number)
            if self._for_good:
                self.left.remove(number)

    def _send(self, batch: list[int]) -> None:
        self.sent += 1
        if self.sent in self.outage or self.refused.intersection(batch):
            self.refusals.add(batch, UnexpectedReply("no."))
        else:
            self.refusals.delivered(batch)
            self.left = [number for number in self.left if number not in batch]


@given(
    numbers=st.integers(1, 120),
    most=st.integers(1, 120),
    refused=st.sets(st.integers(0, 119), max_size=4),
    for_good=st.booleans(),
)
def test_the_others_arrive_and_the_refused_are_named_within_eight_rounds(
    numbers: int, most: int, refused: set[int], for_good: bool
) -> None:
    bench = Bench(numbers, most, for_good=for_good)
    bench.refused = {number for number in refused if number < numbers}
    for _ in range(8):
        with suppress(UnexpectedReply):
            bench.run()
        bench.left.append(1000)  # one that is taken comes in each round
    assert set(bench.skipped) == bench.refused
    assert not any(number in bench.refusals for number in range(numbers) if number not in bench.refused)
    assert bench.left == [*([] if for_good else sorted(bench.refused)), 1000]


@given(
    numbers=st.integers(1, 60),
    most=st.integers(1, 60),
    begins=st.integers(0, 400),
    lasts=st.integers(1, 400),
    joining=st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
def test_while_all_is_refused_from_one_moment_to_another_none_is_skipped_for_good(
    numbers: int, most: int, begins: int, lasts: int, joining: list[int]
) -> None:
    """Where that ended in the middle of a round, those before were refused alone, and those behind taken."""
    bench = Bench(numbers, most, for_good=True)
    bench.outage = range(begins, begins + lasts)
    for joined in joining:
        with suppress(UnexpectedReply):
            bench.run()
        bench.left += range(1000, 1000 + joined)
    assert not bench.skipped
    bench.outage = range(0)
    bench.run()
    assert not bench.left


def test_one_that_is_skipped_for_good_was_refused_alone_three_times() -> None:
    """Two things that passed, one in the whole batch and one alone, cost an event."""
    rounds = {}
    for for_good in (False, True):
        bench = Bench(40, 40, for_good=for_good)
        bench.refused = {7}
        for number in range(1, 9):
            with suppress(UnexpectedReply):
                bench.run()
            bench.left.append(100 + number)
            if bench.skipped:
                break
        rounds[for_good] = number
    assert rounds == {False: 2, True: 4}


def test_of_a_platform_that_takes_nothing_none_is_skipped() -> None:
    bench = Bench(500, 20, for_good=True)
    bench.refused = set(range(500))
    for _ in range(30):
        before = bench.sent
        with pytest.raises(UnexpectedReply, match=r"^no\. So many were refused in a row"):
            bench.run()
        assert bench.sent - before <= 330
    assert not bench.skipped


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("burst", [319, 320, 700])
def test_many_in_a_row_hold_back_nothing_that_comes_behind(burst: int, for_good: bool) -> None:
    """With 320 in a row each round ended before it came to what was never refused, for ever."""
    bench = Bench(burst, 1000, for_good=for_good)
    bench.refused = set(range(burst))
    for number in range(16):
        bench.left.append(1000 + number)
        with suppress(UnexpectedReply):
            bench.run()
        assert bench.left[-1:] != [1000 + number] or number == 0, "the first shares a batch with the others"
    assert set(bench.skipped) == bench.refused
    assert len(bench.skipped) == len(bench.refused) or not for_good


def test_each_is_skipped_for_good_once_that_is_certain_whatever_else_is_refused() -> None:
    """Where each round brought one more, none was ever settled, and the position never moved again."""
    bench = Bench(0, 10, for_good=True)
    for number in range(40):
        bench.refused.add(number)
        bench.left += [number, 1000 + number]
        with pytest.raises(UnexpectedReply):
            bench.run()
        assert min(bench.left) >= number - 6
    assert bench.skipped == list(range(len(bench.skipped)))


def test_what_is_there_no_more_is_forgotten() -> None:
    """It stayed in memory until the process ended."""
    bench = Bench(3, 3, for_good=False)
    bench.refused = {0, 1, 2}
    with pytest.raises(UnexpectedReply):
        bench.run()
    assert 1 in bench.refusals
    bench.left = [9]
    bench.run()
    assert not any(number in bench.refusals for number in range(3))


def test_what_was_delivered_since_is_refused_no_more() -> None:
    refusals: Refusals[int] = Refusals("number")
    refusals.add([1, 2], UnexpectedReply("no."))
    assert 1 in refusals
    refusals.delivered([1])
    assert 1 not in refusals
    assert 2 in refusals
    assert list(refusals.keys) == [2]


def test_refused_batches_count_only_in_a_row() -> None:
    refusals: Refusals[int] = Refusals("number")
    for number in range(30):
        refusals.add([number], UnexpectedReply("no."))
        if number % 9 == 8:
            refusals.delivered([1000 + number])
    with pytest.raises(UnexpectedReply, match="So many"):
        for number in range(30, 40):
            refusals.add([number], UnexpectedReply("no."))


def test_one_that_is_known_to_be_refused_is_tried_in_each_round() -> None:
    """Perhaps it is taken now; it costs one call."""
    refusals: Refusals[int] = Refusals("number")
    refusals.add([0], UnexpectedReply("no."))
    refusals.delivered([1000])
    for numbers in (range(1), range(331)):
        refusals.begin()
        for number in reversed(numbers):
            if number in refusals and not refusals.most(number, str(number)):
                continue
            with suppress(UnexpectedReply):
                refusals.add([number], UnexpectedReply("no."))
    refusals.begin()
    assert all(refusals.most(number, str(number)) for number in range(1, 321))
    for number in range(1, 321):
        refusals.add([number], UnexpectedReply("no."))
    assert refusals.most(321, "321") == 0
    assert refusals.most(0, "0") == 1


def test_what_comes_again_in_a_walk_after_it_was_delivered_was_not_refused_before() -> None:
    """The round died of a KeyError."""
    refusals: Refusals[int] = Refusals("number")
    refusals.add([1], UnexpectedReply("no."))
    refusals.begin()
    assert refusals.most(1, "1") == 1
    refusals.delivered([1])
    refusals.add([1], UnexpectedReply("no."))
    with pytest.raises(UnexpectedReply, match=r"what was refused \(1\) comes again"):
        list(refusals.settled())


def test_a_version_that_waits_is_not_delivered_with_the_one_before() -> None:
    """What was under way was confirmed late, and the one that waited was forgotten."""
    refusals: Refusals[int] = Refusals("number")
    refusals.add(range(321), UnexpectedReply("no."))
    refusals.begin()
    for number in range(321):
        assert refusals.most(number, str(number))
    for number in range(320):
        refusals.add([number], UnexpectedReply("no."))
    assert refusals.most(320, "320") == 0
    refusals.delivered([320])
    assert 320 in refusals
    assert 320 in refusals.keys
    with pytest.raises(UnexpectedReply, match="the rest waits for the next round"):
        list(refusals.settled())


def test_a_limit_that_is_met_after_another_error_hides_neither() -> None:
    refusals: Refusals[int] = Refusals("number")
    with suppress(UnexpectedReply):
        for number in range(12):
            refusals.add([number], UnexpectedReply("no."))
    assert str(refusals.beside(TryAgain("page 2."))) == "page 2. Apart from that: no."
    refusals.add([12], UnexpectedReply("no."))  # it is said once: what is under way is still heard of


def test_the_last_of_a_quiet_fleet_is_named() -> None:
    """Alone in its batch, with nothing new to compare it with, it was an error for ever."""
    bench = Bench(4, 3, for_good=False)
    bench.refused = {3}
    with pytest.raises(UnexpectedReply):
        bench.run()
    bench.run()
    assert bench.skipped == [3]
