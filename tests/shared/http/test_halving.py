"""Which items of a refused batch are to blame."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.errors import ActionNeeded, ConnectorError, TryAgain, UnexpectedReply
from shared.http.halving import isolate_refused, may_be_content

REFUSAL = UnexpectedReply("The batch was refused.", status=400)


class Platform:
    """Refuses batches that hold one of the `poison`; `raises` is what the n-th push (from 1) raises instead."""

    def __init__(
        self, poison: Sequence[int] = (), *, status: int = 400, raises: dict[int, ConnectorError] | None = None
    ):
        self.poison, self.status, self.raises = set(poison), status, raises or {}
        self.pushes: list[list[int]] = []

    def push(self, items: Sequence[int]) -> None:
        self.pushes.append([*items])
        if error := self.raises.get(len(self.pushes)):
            raise error
        if self.poison & set(items):
            raise UnexpectedReply("refused", status=self.status)

    def isolate(self, items: Sequence[int], *, works: bool = False) -> tuple[list[int], list[int]]:
        """The items accepted and those refused alone, each in the order found."""
        accepted, refused = [], []
        for part, error in isolate_refused(items, self.push, REFUSAL, works=works):
            (accepted if error is None else refused).extend(part)
        return accepted, refused


@pytest.mark.parametrize("status", [400, 403, 409, 413, 422, 500, 502, 504])
@pytest.mark.parametrize("poison", [[0], [1], [2], [499], [999], [0, 1], [998, 999], [0, 500, 999]])
def test_every_item_but_the_refused_ones_is_accepted_once(poison: list[int], status: int) -> None:
    platform = Platform(poison, status=status)
    accepted, refused = platform.isolate(range(1000))
    assert refused == poison
    assert sorted(accepted) == [n for n in range(1000) if n not in poison]
    assert len(platform.pushes) <= 2 + len(poison) * 22


def test_a_platform_that_accepts_nothing_gets_three_pushes_and_no_item_is_blamed() -> None:
    platform = Platform(range(1000))
    with pytest.raises(UnexpectedReply, match="The batch was refused"):
        platform.isolate(range(1000))
    assert platform.pushes == [[0], [1], [2]]


def test_a_single_item_is_blamed_only_when_others_were_accepted_before() -> None:
    with pytest.raises(UnexpectedReply, match="The batch was refused"):
        Platform([7]).isolate([7])
    assert Platform([7]).isolate([7], works=True) == ([], [7])


def test_an_item_refused_once_and_accepted_then_is_not_blamed() -> None:
    blip = UnexpectedReply("overloaded", status=503)
    platform = Platform(raises={1: blip})
    assert platform.isolate([1, 2, 3, 4]) == ([2, 3, 4, 1], [])


@pytest.mark.parametrize(
    "error", [TryAgain("no answer"), ActionNeeded("credentials", status=401), TryAgain("slow down", status=429)]
)
def test_an_error_that_is_not_about_the_content_ends_the_search(error: ConnectorError) -> None:
    platform = Platform([3], raises={2: error})
    accepted: list[int] = []
    with pytest.raises(type(error), match=str(error)):
        for part, _ in isolate_refused(range(8), platform.push, REFUSAL):
            accepted.extend(part)
    assert accepted == [0], "what was accepted before counts"
    assert not may_be_content(error)


def test_a_batch_too_large_for_a_proxy_arrives_in_parts() -> None:
    class Proxy(Platform):
        def push(self, items: Sequence[int]) -> None:
            super().push(items)
            if len(items) > 100:
                raise UnexpectedReply("too large", status=413)

    accepted, refused = Proxy().isolate(range(1000))
    assert (sorted(accepted), refused) == ([*range(1000)], [])
