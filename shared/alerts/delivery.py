"""The half of an alert connector that sends: one alert that the intake refuses holds back no other (decision 19).

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple

import orjson
from sekoia_automation.configuration.exception import MissingConfigurationError
from sekoia_automation.connector import Connector

from shared.alerts.intake import Intake
from shared.alerts.position import Aside, Position
from shared.alerts.windows import VendorClock
from shared.errors import ConnectorError, SkipRecord
from shared.http.halving import isolate_refused, may_be_content
from shared.http.session import ApiSession
from shared.http.tokens import Anonymous
from shared.runtime.service import Service
from shared.runtime.settings import EventConnectorConfiguration

DAY = 86_400  # seconds in which refused alerts are retried, short windows read again and late alerts looked for
_ABOUT_CONTENT = (400, 413, 422)  # statuses after which an alert is not retried
_PROBES = 3  # alerts of a refused batch that are sent alone first
_REPORT = "If this persists, report it with the log of this module."


class Alert(NamedTuple):
    """`key`: a hash of its version; `at`: its last update, epoch seconds; `name`: its id, for the log."""

    key: str
    at: float
    name: str
    record: Any = None


Batch = Sequence[tuple[Alert, bytes]]


class AlertDelivery(Service, Connector):
    """Sends batches and keeps what becomes of each alert in the position."""

    configuration: EventConnectorConfiguration

    noun: ClassVar[str] = "event"
    cursor_key: ClassVar[str] = "last_event_date"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._executor.shutdown(wait=False)  # the SDK's stop waits for its threads: it must find none
        self.clock = VendorClock()

    @cached_property
    def _position(self) -> Position:
        return Position(self.data_path / "context.json", self.cursor_key)

    def send(self, batch: Batch, *, once: bool = False) -> None:
        """Deliver a batch, without the alerts that are refused alone while others are accepted: those are skipped or put
        aside. Raises when the intake is down; one or two alerts, of which that cannot be known, are put aside before."""
        try:
            self._push(batch, once=once)
        except ConnectorError as error:
            if not may_be_content(error):
                raise
            refusal = error
        else:
            return
        try:
            if len(batch) == 1:
                raise refusal
            for part, reason in isolate_refused(batch, partial(self._push, once=True), refusal):
                if reason:
                    self._refused(*part[0], reason, works=True)
        except ConnectorError as error:
            if error is not refusal or (len(batch) >= _PROBES and not once):
                raise
            works = once and self.counts.sent > 0  # it accepted others in this round
            for alert, text in batch[:_PROBES]:
                self._refused(alert, text, refusal, works=works)

    def retry_aside(self) -> None:
        """Send the alerts put aside again; raises when they are refused and no other was accepted yet."""
        aside = self._position.facts.aside
        waiting = [(Alert(key, one.at, one.name), one.text) for key, one in aside.items()]
        for batch in self._intake.batches(waiting):
            self.send(batch, once=True)

    def _push(self, batch: Batch, *, once: bool) -> None:
        self.moving()
        self._intake.send([text for _, text in batch], once=once)
        alerts = [alert for alert, _ in batch]
        self._position.done({alert.key: alert.at for alert in alerts})
        self._position.store_in_time()
        self.counts.batches += 1
        self.counts.sent += len(alerts)
        self._error_count = 0
        self._last_events_time = datetime.now(UTC).replace(tzinfo=None)
        self.put_forwarded_events(self.intake_label, len(alerts))
        self.put_events_lag(self.intake_label, max(0.0, self.clock.now() - alerts[-1].at))

    def _refused(self, alert: Alert, text: bytes, error: ConnectorError, *, works: bool) -> None:
        """Skip an alert that was refused alone, or put it aside, behind the others. Raises unless it was refused while the
        intake `works`, in this round or an earlier one."""
        aside, now = self._position.facts.aside, self.clock.now()
        one = aside.pop(alert.key, None)
        reason = str(error).removesuffix(" The connector tries again later.")
        if (works and error.status in _ABOUT_CONTENT) or (one and one.proven and now - one.since >= DAY):
            self.skip(alert, SkipRecord("refused by the platform", reason))
            return
        if one is None:
            one = Aside(name=alert.name, text=orjson.loads(text), at=alert.at, since=now)
            if not self._position.has_room_for(one.text):
                if not works:
                    raise error from None
                self.skip(alert, SkipRecord("refused by the platform", f"{reason} Too many others are put aside"))
                return
            what = f"Put an {self.noun} aside ({alert.name}), which is retried each round for a day"
            self.log(f"{what}: {reason}", level="warning")
        one.proven = one.proven or works
        aside[alert.key] = one
        if not one.proven:
            raise error.adding(f"The {self.noun} ({alert.name}) is put aside and retried each round.") from None

    def skip(self, alert: Alert, reason: SkipRecord) -> None:
        """The alert is not sent, and not looked at again."""
        self._position.done({alert.key: alert.at})
        self.counts.skipped += 1
        self.put_discarded_events(self.intake_label, 1)
        self.log(f"Skipped an {self.noun} ({alert.name}): {reason}", level="warning")

    # --- the intake

    @cached_property
    def _intake(self) -> Intake:
        key = self.configuration.intake_key
        session = ApiSession(
            "Sekoia.io",
            self.intake_server,
            Anonymous(),
            stop=self._stop_event,
            patience=self.patience,
            headers=self.http_default_headers,
            advice={
                401: "Check the intake key of this connector: its intake may have been deleted.",
                403: "Check the intake key of this connector: its intake may have been deleted or disabled.",
                404: "Check the intake server: it must be that of your region.",
                **dict.fromkeys((400, 422), _REPORT),
                413: f"A proxy in between may limit the length of a call: check that. {_REPORT}",
            },
        )
        return Intake(session, key)

    @property
    def intake_server(self) -> str:
        """The one that was entered, else the one the platform names for its region, else the default."""
        if "intake_server" not in self.configuration.model_fields_set:
            with suppress(MissingConfigurationError):
                return self.intake_url.strip().rstrip("/")
        return self.configuration.intake_server

    @property
    def intake_label(self) -> str:
        """The intake in metrics: a hash of its key, which is a secret."""
        return blake2b(self.configuration.intake_key.get_secret_value().encode(), digest_size=8).hexdigest()
