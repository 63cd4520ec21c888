"""What is remembered between two rounds, and what makes it useless: damage, another release, other settings."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from shared import times
from shared.errors import SkipRecord
from shared.runtime.service import Service
from shared.state.fingerprints import Fingerprints
from shared.state.snapshot import Snapshot
from shared.state.storage import JsonFile

FULL_WALK = "full_walk_began"  # of the last full walk that succeeded, epoch seconds
LABEL = "account_name"  # the setting that names the account in the log, and nothing else
_MADE_FOR = "made_for"  # the release that stored the state, the settings and the destination it was stored for
_MAX_NAMED = 1_000  # skipped devices a round: a broken page of millions must not become millions of log lines


class StatefulService(Service):
    """A connector of devices with its state. `part`: what is stored of one scope."""

    cursor_key: ClassVar[str] = "cursor"
    state_prefix: ClassVar[str] = ""  # of the names of the files in `data_path`
    record_names: ClassVar[tuple[str, ...]] = (
        "id",
        "uuid",
    )  # of a record's identity; the log names a skipped one by it
    refusals: ClassVar[int] = 1  # of a device until it is sent again only when it changes or is due
    named = 0  # skipped devices in this round

    # --- what the class of a destination says

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Devices handed over at once."""

    @property
    def full_sync_interval(self) -> int:
        """Seconds from the begin of a full walk to the begin of the next."""
        return int(self.configuration.full_sync_interval)

    def memory(self, path: Path) -> Fingerprints:
        """What was delivered, kept in this file."""
        return Fingerprints(path)

    def destination(self) -> str:
        """Where the devices go, as far as it can be configured: another one has received nothing."""
        return ""

    def start_first(self) -> None:
        """Nothing was ever stored."""

    def outdated(self, elsewhere: bool) -> None:
        """The state was damaged, or stored by another release or with other settings; or for another destination."""
        if elsewhere:
            self.forget_devices()

    def recall(self, part: dict[str, Any], memory: Fingerprints) -> None:
        """Before a scope is walked: what follows from a memory that is lost or older than the rest of the state."""
        if memory.restored:
            self.warn("What was delivered of the devices is damaged, or an older copy of it; some are sent again")

    def ended(self, part: dict[str, Any], clock: float) -> None:
        """A full walk of a scope was read to its end, whether or not rows were missing. `clock`: the vendor's at its begin."""

    # --- the log

    def warn(self, message: str) -> None:
        self.log(message, level="warning")

    def name_skipped(self, record: Any, reason: SkipRecord) -> None:
        """Log a device that is skipped with its id, the first of a round only."""
        self.named += 1
        if self.named > _MAX_NAMED:
            return
        fields = record if isinstance(record, dict) else {}
        ids = (f"{key} {fields[key]}" for key in self.record_names if isinstance(fields.get(key), str | int))
        where = next(ids, f"number {self.counts.read} of this round, without an id")
        self.warn(f"Skipped a device ({where[:100]}): {reason}")
        if self.named == _MAX_NAMED:
            self.warn("Further devices that are skipped in this round are counted and not named.")

    # --- the state

    @cached_property
    def state(self) -> Snapshot:
        """Opened by the first round, and not at the start: the storage may be away then."""
        return Snapshot(JsonFile(self.state_file("context.json")), self._open_memory)

    def read_state(self) -> None:
        """A full walk follows when it was damaged, or stored by another release or for another console: a position means
        nothing there."""
        self.state.recall()
        context, made_for = self.state.context, self._made_for()
        first = not context and not self.state.damaged
        if self.state.damaged:
            self.warn("The stored position was damaged; all devices are read again")
        if self.state.damaged or context.get(_MADE_FOR) != made_for:
            before = context.get(_MADE_FOR)
            context[_MADE_FOR] = made_for
            if first:
                self.start_first()
            else:
                self.outdated(isinstance(before, dict) and before.get("destination") != made_for["destination"])
            self.reset_checkpoint()

    def forget_devices(self) -> None:
        for scope in self.state.scopes():
            self.state.memory(scope).clear()

    def state_file(self, name: str) -> Path:
        """A file of this connector's own, apart from those of others that share its `data_path`."""
        return self.data_path / (self.state_prefix + name)

    def _open_memory(self, scope: str) -> Fingerprints:
        """The fingerprints of a scope, by its key and not by its name, which may change."""
        return self.memory(self.state_file(f"fingerprints-{scope}.bin" if scope else "fingerprints.bin"))

    def _made_for(self) -> dict[str, str]:
        settings = self.module.configuration
        private = {*self.module.manifest_secrets(), LABEL}
        public = settings.model_dump_json(exclude=private) if isinstance(settings, BaseModel) else ""
        return {
            "release": str(self.module.manifest.get("version")),
            "settings": blake2b(public.encode(), digest_size=8).hexdigest(),
            "destination": self.destination(),
        }

    def update_checkpoint(self) -> None:
        """Store the position. Only called for what is delivered."""
        self.state.store()

    def reset_checkpoint(self) -> None:
        """Forget the positions, so that all devices are read again; what did not change is not sent again."""
        for part in self.state.parts():
            for key in (self.cursor_key, FULL_WALK):
                part.pop(key, None)
        self.state.store()

    def cursor(self) -> float | None:
        if "state" not in self.__dict__:
            return None
        cursors = [at for part in self.state.present() if (at := times.epoch(part.get(self.cursor_key))) is not None]
        return min(cursors, default=None)
