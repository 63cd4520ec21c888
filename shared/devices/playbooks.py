"""The base of the playbook triggers: a device that is new, changed, gone, silent or back starts a playbook, each once.

The rounds are those of the asset connectors; what differs is what is compared, and where it goes.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import orjson
from pydantic import SecretStr
from pyrate_limiter import Duration, RequestRate
from typing_extensions import override

from shared.devices.batch import Met
from shared.devices.contents import Contents, changing_paths, chosen, constants
from shared.devices.polling import DevicePolling
from shared.devices.starts import ChangeDelivery
from shared.devices.stateful import FULL_WALK
from shared.errors import ActionNeeded
from shared.http.session import ApiSession
from shared.http.tokens import FixedToken
from shared.runtime.settings import DeviceChangesConfiguration
from shared.state.fingerprints import GONE, Fingerprints

_EXISTING = "report_existing"  # stored at the very first start: the devices there are start playbooks, too
_LEARNED = "learned"  # of a scope: whether its devices are known, so that an unknown one is new
_LEARNED_AT = "learned_at"  # since when on the vendor's clock, epoch seconds


class DeviceChanges(DevicePolling):
    """Starts a playbook by `send_event` for each device that is new, gone, silent or back, and for each change of a field
    that counts.

    The first full walk learns the devices and starts nothing, unless the existing devices are asked for. So does the walk
    after a loss of the state, or an update of the module or of its settings: a field that is mapped in another way is not
    a change of a device.
    """

    configuration: DeviceChangesConfiguration  # type: ignore[override] # narrower: the SDK validates into this type

    state_prefix = "changes-"
    refreshes = False
    refusals = 3
    batch_size = 1  # each device is confirmed for itself
    _once = False  # whether a call is not retried
    may_miss_rows: ClassVar[bool] = False  # whether a list can leave a device out unnoticed, as with offsets

    # --- where it goes

    def delivery(self, part: dict[str, Any]) -> ChangeDelivery:
        learned, learned_at = part[_LEARNED], part.get(_LEARNED_AT, 0) if self.may_miss_rows else 0
        if not learned:
            self.log("Learning the devices there are; those that are not known start no playbook in this round")

        def kind_of(met: Met) -> str:
            if met.before is None:
                was_there = (met.event["device"].get("first_seen_time") or learned_at) < learned_at
                kinds = ["new"] if learned and not was_there else []
            else:
                kinds = [met.presence or "back"] if met.presence != met.was else []
                kinds += ["changed"] if met.now != met.before else []
            return next((kind for kind in kinds if kind in self.configuration.on), "")

        gone = constants(self.fields) if GONE in self.configuration.on else None
        start, stop = self._start_playbook, self._stop_event
        return ChangeDelivery(start, self._paths, kind_of, gone, self.rate, stop, log=self.log, doubts=self._doubts)

    def _start_playbook(self, name: str, event: dict[str, Any], once: bool) -> None:
        self._once = once
        self.send_event(name, event)

    @override
    def _send_request(self, data: dict[str, Any], verb: str = "POST", attempt: int = 1) -> None:  # type: ignore[override] # nobody reads the reply
        """As the SDK does, but retried within seconds, and ended by a stop: the next round sends what was not sent."""
        self.moving()
        callback = self._callback.trying_once() if self._once else self._callback
        body, headers = orjson.dumps(data), {"Content-Type": "application/json"}
        _ = callback.call(verb, callback.base_url, data=body, headers=headers).json  # a page of HTML confirms nothing

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
    def _paths(self) -> list[str]:
        """The fields whose change counts; ActionNeeded when one is asked for that the vendor's table does not have."""
        paths, wanted = changing_paths(self.fields), [name.strip() for name in self.configuration.fields]
        unknown = [name for name in wanted if not chosen(paths, [name])]
        if unknown:
            raise ActionNeeded(
                f"The configuration is wrong: fields names {', '.join(unknown)[:200]}, which this module does not fill. "
                f"It fills {', '.join(paths)}."
            )
        return chosen(paths, wanted)

    def memory(self, path: Path) -> Contents:
        return Contents(path, self._paths)

    def destination(self) -> str:
        """The watched fields too: a memory of others cannot be compared."""
        return blake2b(" ".join(self._paths).encode(), digest_size=8).hexdigest()

    # --- what is learned

    def start_first(self) -> None:
        if self.configuration.include_existing and not self.state.memory("").found:
            self.state.context[_EXISTING] = True

    def outdated(self, elsewhere: bool) -> None:
        self.state.context.pop(_EXISTING, None)
        for part in self.state.parts():
            part[_LEARNED] = False
        self.forget_devices()

    def recall(self, part: dict[str, Any], memory: Fingerprints) -> None:
        """Stored before the memory changes, so that devices which are to be learned are never new to a later round."""
        if part.get(_LEARNED) is None:
            existing = self.configuration.include_existing and _EXISTING in self.state.context
            part[_LEARNED] = existing and not memory.found
        elif memory.restored:
            self.warn("What was reported of the devices is lost, or an older copy of it; they are learned again")
            part[_LEARNED] = False
        else:
            return
        part.pop(FULL_WALK, None)
        self.state.store()
        memory.clear()

    def ended(self, part: dict[str, Any], clock: float) -> None:
        if not part[_LEARNED]:
            part[_LEARNED], part[_LEARNED_AT] = True, clock

    @property
    def silent_after(self) -> float:
        return self.configuration.silent_after * 3600.0
