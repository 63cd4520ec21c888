"""The base of the playbook triggers: a new or changed device starts a playbook, each change once.

The rounds are those of the asset connectors; what differs is what is compared, and where it goes.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from threading import Event
from typing import Any

import orjson
from pydantic import SecretStr
from pyrate_limiter import Duration, RequestRate

from shared.devices.contents import Contents, Watch, changing_paths, chosen
from shared.devices.delivery import MOST_WEIGHT, Batch
from shared.devices.polling import FULL_WALK, SCOPES, WHOLE, DevicePolling, Scope
from shared.errors import ActionNeeded, ConnectorError
from shared.http.session import ApiSession
from shared.http.tokens import FixedToken
from shared.runtime.settings import DeviceChangesConfiguration

_EXISTING = "tell_existing"  # stored with the position: the first walk tells every device
_MOST_WAITING = 5_000  # events held in memory before some are told, whatever is still to be read
WORTH_SAYING = 100  # events waiting
_SAY_EVERY = 60.0  # seconds between two lines about those that wait


class ChangeDelivery:
    """One walk's way to the playbooks. What was read is told one by one, in order, each before the next.

    `tell(name, event)` returns when the platform confirmed it, at most `rate` a second; `kinds` are those that are told.
    """

    def __init__(
        self,
        tell: Callable[[str, dict[str, Any]], None],
        watch: Watch,
        *,
        kinds: Collection[str],
        rate: int,
        stop: Event,
        say: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._watch = watch
        self._kinds = kinds
        self._rate = rate
        self._stop = stop
        self._say = say
        self._said_at = 0.0
        self._waiting: deque[Batch] = deque()
        self._weight = 0  # bytes of the events that wait
        self._failure: ConnectorError | None = None

    def form(self, event: dict[str, Any], written: bytes, before: int | None, now: int) -> bytes:
        """The event with its change; b"" when the change is not to be told."""
        kind = "new" if before is None else "changed"
        if kind not in self._kinds:
            return b""
        fields = [] if before is None else self._watch.changed(before, now)
        return orjson.dumps({**event, "change": {"kind": kind, "fields": fields}})

    def send(self, batch: Batch) -> None:
        """Put it into the queue: each event that is told becomes a batch of its own."""
        self._waiting.extend(_one_by_one(batch))
        self._weight += batch.weight

    def confirmed(self, *, all_of_them: bool = False) -> Iterator[Batch]:
        """Tell what waits, once the walk is at its end or the queue is full → each batch when it is told.

        The caller remembers a batch before it asks for the next, so a crash repeats what had no answer and no more.
        """
        if self._failure:
            raise self._failure
        most = 0 if all_of_them else _MOST_WAITING
        while self._waiting and not self._stop.is_set():
            batch = self._waiting[0]
            if len(self._waiting) <= most and self._weight <= MOST_WEIGHT and not batch.silent:
                return
            if not batch.silent:
                self._told(batch)
            self._waiting.popleft()
            self._weight -= batch.weight
            yield batch

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._weight = 0

    def _told(self, batch: Batch) -> None:
        self._say_how_many()
        event = orjson.loads(batch.events[0])
        try:
            self._tell(_name(event), event)
        except ConnectorError as error:
            self._failure = error
            error.ends_round = True  # not this device, the way to the platform
            raise

    def _say_how_many(self) -> None:
        waiting, now = len(self._waiting), time.monotonic()
        if waiting >= WORTH_SAYING and now - self._said_at >= _SAY_EVERY:
            self._said_at = now
            self._say(f"{waiting} changes are waiting; at most {self._rate} a second start playbooks.")


def _one_by_one(batch: Batch) -> Iterator[Batch]:
    """The batch as several, in its order: one each event that is told, one each run of others between them."""
    parts = [Batch()]
    for event, (key, value) in zip(batch.events, batch.entries, strict=True):
        if parts[-1].size and (event or not parts[-1].silent):
            parts.append(Batch())
        parts[-1].add(event, key, value)
    parts[-1].cursor = batch.cursor
    yield from parts


def _name(event: dict[str, Any]) -> str:
    hostname, change = event["device"]["hostname"], event["change"]
    what = "new device" if change["kind"] == "new" else f"changed {', '.join(change['fields'])}"
    return f"{hostname}: {what}"


class DeviceChanges(DevicePolling):
    """Tells by `send_event` of each device that is new, and of each change of a field that counts.

    The first walk learns the fleet and tells nothing, unless the existing devices are asked for. So does the walk after
    an update of the module or of its settings: a field that is mapped in another way is no change of a device.
    """

    configuration: DeviceChangesConfiguration  # type: ignore[override] # narrower: the SDK validates into this type

    state_prefix = "changes-"
    refreshes = False
    batch_size = 1_000

    # --- where it goes

    def delivery(self, place: dict[str, Any]) -> ChangeDelivery:
        learning = FULL_WALK not in place and _EXISTING not in self._context
        if learning:
            self.log("Learning the devices there are; they start no playbook in this round", level="info")
        return ChangeDelivery(
            self.send_event,
            self._watch,
            kinds=() if learning else self.configuration.on,
            rate=self.rate,
            stop=self._stop_event,
            say=lambda message: self.log(message, level="info"),
        )

    def _send_request(self, data: dict[str, Any], verb: str = "POST", attempt: int = 1) -> None:  # type: ignore[override] # nobody reads the reply
        """As the SDK does, but retried within seconds, and ended by a stop: the next round tells what was not told."""
        self.moving()
        self._callback.call(
            verb, self._callback.base_url, data=orjson.dumps(data), headers={"Content-Type": "application/json"}
        )

    @cached_property
    def _callback(self) -> ApiSession:
        restart = "Stop and start the playbook of this trigger, which gives it a new token."
        return ApiSession(
            "Sekoia.io",
            self.callback_url,
            FixedToken("Bearer", SecretStr(self.token), "token of the platform"),
            stop=self._stop_event,
            patience=self.patience,
            rates=[RequestRate(self.rate, Duration.SECOND)],
            advice={
                401: restart,
                403: restart,
                404: "Check that the playbook of this trigger was not deleted.",
                413: "Report this with the log of this module.",
            },
            may_be_empty=range(200, 300),
        )

    # --- what counts

    @cached_property
    def _watch(self) -> Watch:
        """The fields whose change counts; ActionNeeded when one is asked for that the vendor's table does not have."""
        paths, wanted = changing_paths(self.fields), [name.strip() for name in self.configuration.fields]
        unknown = [name for name in wanted if not chosen(paths, [name])]
        if unknown:
            raise ActionNeeded(
                f"The configuration is wrong: fields names {', '.join(unknown)[:200]}, which this module does not fill. "
                f"It fills {', '.join(paths)}."
            )
        return Watch(chosen(paths, wanted))

    def memory(self, path: Path) -> Contents:
        return Contents(path, self._watch)

    def _made_for(self) -> str:
        watched = blake2b(" ".join(self._watch.paths).encode(), digest_size=8).hexdigest()
        return f"{super()._made_for()} {watched}"

    # --- what is remembered

    def reset_checkpoint(self) -> None:
        """Learn the devices anew, without a word, unless none was ever learned and the existing ones are asked for."""
        told = FULL_WALK in self._context or SCOPES in self._context or len(self._fingerprints_of(WHOLE))
        self._context.pop(_EXISTING, None)
        if self.configuration.include_existing and not told and not self._context_file.damaged:
            self._context[_EXISTING] = True
        super().reset_checkpoint()

    def _collect(self, scope: Scope) -> None:
        place = self._place(scope)
        if FULL_WALK in place and self._fingerprints_of(scope).lost:
            self.log("What was told of the devices cannot be read; they are learned again", level="warning")
            place.pop(FULL_WALK)
        super()._collect(scope)

    # --- as the other triggers

    @property
    def full_sync_interval(self) -> int:
        return self.configuration.full_sync_interval

    @property
    def frequency(self) -> int:
        return self.configuration.frequency
