"""Check Point Harmony Mobile alerts as events of a Sekoia.io intake.

No `from __future__ import annotations` here: the SDK reads the annotation of `configuration` at run time.
"""

from collections.abc import Iterator
from functools import partial
from threading import Event
from typing import Any

from pyrate_limiter import Duration, RequestRate

from shared.alerts.connector import EventConnector
from shared.http.pages import Page
from shared.http.session import ApiSession, Patience
from shared.http.tokens import Anonymous, FetchedToken, header_value
from shared.mapping.conversions import Record
from shared.times import epoch

from .client import ADVICE, LOGIN_ADVICE, Bearer, HarmonyMobileClient, fetch_token
from .mapper import ALERT_TO_ECS, as_given
from .settings import HarmonyMobileArguments, HarmonyMobileSettings


class HarmonyMobileConnector(EventConnector):
    """Reads windows of `backend_last_updated`: an alert that the backend updates is listed again, with the same id."""

    configuration: HarmonyMobileArguments

    fields = ALERT_TO_ECS
    noun = "alert"

    @classmethod
    def connect(
        cls,
        settings: HarmonyMobileSettings,
        arguments: HarmonyMobileArguments | None = None,
        *,
        stop: Event,
        patience: Patience,
        page_size: int | None = None,
    ) -> HarmonyMobileClient:
        per_minute, chunk_size = (arguments.ratelimit_per_minute, arguments.chunk_size) if arguments else (60, None)
        secret = header_value(settings.secret_key, "Client Secret")
        call = partial(ApiSession, "Check Point", stop=stop, patience=patience)
        login = call(settings.authentication_url, Anonymous(), advice=LOGIN_ADVICE)
        token = FetchedToken(partial(fetch_token, login, settings.client_id, secret))
        rates = (RequestRate(per_minute, Duration.MINUTE),)
        session = call(settings.data_url, Bearer(token), advice=ADVICE, rates=rates)
        return HarmonyMobileClient(session, token, page_size or chunk_size)

    @classmethod
    def pages(cls, client: HarmonyMobileClient, since: int, until: int) -> Iterator[Page]:
        return client.alerts(since, until)

    @classmethod
    def updated_at(cls, record: Record) -> float | None:
        return epoch(record.get("backend_last_updated"))

    @classmethod
    def version(cls, record: Record) -> Any:
        """Its id and the time of its last update, which is the same in both forms of dates."""
        identity, updated = record.get("id"), record.get("backend_last_updated")
        return [identity, epoch(updated) or updated] if isinstance(identity, str | int) else None

    def event_of(self, record: dict[str, Any]) -> dict[str, Any]:
        return self.table(record) if self.configuration.event_format == "ecs" else as_given(record)
