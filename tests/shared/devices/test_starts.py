"""Starting playbooks for what a round finds: each change is told against what was told before."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

from shared.devices.batch import Doubts
from shared.devices.starts import ChangeDelivery
from shared.errors import UnexpectedReply
from tests.shared.devices.test_round import Bench, device


class Playbooks:
    """The playbook runs of a bench's rounds: uid, risk and kind; `refused` ones are not accepted."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, int, str]] = []
        self.refused: set[tuple[str, int]] = set()

    def _push(self, _name: str, event: dict[str, Any], _once: bool) -> None:
        told = event["device"]["uid"], event["device"]["risk_score"]
        if told in self.refused:
            raise UnexpectedReply("refused", status=400)
        self.runs.append((*told, event["change"]["kind"]))

    def started_by(self, going: Bench) -> Bench:
        """This bench, whose changes start playbooks."""
        going.batch_size = 1
        going.deliveries = ChangeDelivery(  # type: ignore[assignment] # in place of the inventory
            self._push,
            ["device"],
            lambda met: "new" if met.before is None else "changed",
            gone=None,
            rate=10,
            stop=Event(),
            log=going.log,
            doubts=Doubts(),
        )
        return going


def test_what_follows_an_event_that_is_refused_is_not_told_without_it(tmp_path: Path) -> None:
    """A new device whose event was refused, and which changed while it was read, was told as changed and never as new."""
    playbooks = Playbooks()
    playbooks.refused = {("a", 0)}
    first = playbooks.started_by(Bench(tmp_path / "fingerprints.bin"))
    assert first.run([device("a", 1, risk=0), device("b", 1)], [device("a", 2, risk=7)])
    assert playbooks.runs == [("b", 0, "new")]
    assert first.counts.listed == 2 == first.counts.delivered + first.counts.refused
    second = playbooks.started_by(first.again())
    assert second.run([device("a", 2, risk=7), device("b", 1)])
    assert playbooks.runs == [("b", 0, "new"), ("a", 7, "new")]
