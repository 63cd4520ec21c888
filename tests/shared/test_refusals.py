"""Finding the one among many that the platform refuses, by smaller and smaller batches, round after round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UnexpectedReply
from shared.refusals import Refusals


class Bench:
    """Rounds over numbers, in batches of as many as they may share; `refused` are those that the platform does not take."""

    def __init__(self, numbers: int, most: int, *, for_good: bool) -> None:
        self.left = list(range(numbers))
        self.refused: set[int] = set()
        self.sizes: dict[int, int] = {}
        self.skipped: list[int] = []
        self.sent = 0
        self._most, self._for_good = most, for_good

    def run(self) -> None:
        """One round; raises what it ends with."""
        refusals = Refusals(self.sizes, "number", for_good=self._for_good)
        batch: list[int] = []
        most = self._most
        for number in [*self.left]:
            before, most = most, refusals.most(number, str(number)) if number in refusals else self._most
            if batch and (len(batch) >= most or most != before):
                self._send(refusals, batch)
                batch = []
            batch.append(number)
        if batch:
            self._send(refusals, batch)
        for number, name, reason in refusals.settled():
            assert (name, reason.field) == (str(number), "refused by the platform")
            self.skipped.append(number)
            if self._for_good:
                self.left.remove(number)

    def _send(self, refusals: Refusals[int], batch: list[int]) -> None:
        self.sent += 1
        if self.refused.intersection(batch):
            refusals.add(batch, UnexpectedReply("no."))
        else:
            refusals.delivered(batch)
            self.left = [number for number in self.left if number not in batch]


@given(numbers=st.integers(1, 120), most=st.integers(1, 120), refused=st.sets(st.integers(0, 119), max_size=4))
def test_the_others_arrive_and_the_refused_are_named_within_five_rounds(
    numbers: int, most: int, refused: set[int]
) -> None:
    bench = Bench(numbers, most, for_good=True)
    bench.refused = {number for number in refused if number < numbers}
    for _ in range(5):
        try:
            bench.run()
        except UnexpectedReply:
            assert not bench.skipped
        newcomer = numbers + len(bench.sizes)
        bench.left.append(newcomer)  # one that is taken comes in each round
    assert sorted(bench.skipped) == sorted(bench.refused)
    assert not bench.sizes
    assert len(bench.left) == 1


@pytest.mark.parametrize("for_good", [False, True])
def test_one_that_is_skipped_for_good_was_refused_alone_once_more(for_good: bool) -> None:
    bench = Bench(40, 40, for_good=for_good)
    bench.refused = {7}
    rounds = 0
    while not bench.skipped:
        rounds += 1
        try:
            bench.run()
        except UnexpectedReply:
            bench.left.append(100 + rounds)
    assert rounds == (3 if for_good else 2)


def test_in_a_platform_that_takes_nothing_none_is_skipped() -> None:
    bench = Bench(500, 20, for_good=True)
    bench.refused = set(range(500))
    for _ in range(30):
        before = bench.sent
        with pytest.raises(UnexpectedReply, match=r"^no\.$"):
            bench.run()
        assert bench.sent - before <= 320
    assert not bench.skipped


def test_what_is_there_no_more_is_forgotten() -> None:
    """It stayed in memory until the process ended."""
    bench = Bench(3, 3, for_good=False)
    bench.refused = {0, 1, 2}
    with pytest.raises(UnexpectedReply):
        bench.run()
    assert bench.sizes.keys() == {0, 1, 2}
    bench.left = [9]
    bench.run()
    assert not bench.sizes


def test_what_was_delivered_since_is_no_suspect() -> None:
    sizes: dict[int, int] = {}
    first = Refusals(sizes, "number")
    first.add([1, 2], UnexpectedReply("no."))
    assert 1 in first
    first.delivered([1])
    assert 1 not in first
    assert sizes == {2: 2}
    assert list(first.keys) == [2]
