"""Handing events to the platform's intake, in batches measured as they travel.

Contract (Sekoia.io SDK 1.27): `POST {intake}/batch` with `{"intake_key", "jsons": [text, …]}`, at most 10,485,760 bytes,
an event at most 250,000 characters; a 2xx names as many `event_ids` as events were taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from pydantic import SecretStr
from sekoia_automation.constants import EVENT_BYTES_MAX_SIZE, INTAKE_PAYLOAD_BYTES_MAX_SIZE

from shared.errors import ActionNeeded, SkipRecord, TryAgain
from shared.http.session import ApiSession

EVENT_LIMIT = EVENT_BYTES_MAX_SIZE  # characters, whatever the name says: the SDK compares the length of a text
MARK = "shortened_fields"  # of a shortened event: field → the characters it had
BATCH_LIMIT = INTAKE_PAYLOAD_BYTES_MAX_SIZE - 256 * 1024  # bytes
_MAX_CUTS = 100
_WORTH_CUTTING = 256

Item = TypeVar("Item")


class Intake:
    """One intake. `session` leads to it; the key goes into the body of the calls and nowhere else."""

    limit = BATCH_LIMIT  # bytes of a request

    def __init__(self, session: ApiSession, intake_key: SecretStr) -> None:
        key = intake_key.get_secret_value().strip()
        if not key:
            raise ActionNeeded("The intake key is empty. Enter it in the configuration.")
        self._session = session
        self._once = session.trying_once()
        self._head = b'{"intake_key":' + orjson.dumps(key) + b',"jsons":['

    def batches(self, events: Iterable[tuple[Item, str]]) -> Iterator[list[tuple[Item, bytes]]]:
        """Events in their order, as many as one request holds: what came with each, and its text as it is sent."""
        batch: list[tuple[Item, bytes]] = []
        full = room = self.limit - len(self._head) - 2
        for item, text in events:
            # A JSON string, with the escapes that it is sent with; a copy, as orjson's own takes a kilobyte and more.
            encoded = bytes(memoryview(orjson.dumps(text)))
            if batch and len(encoded) + 1 > room:
                yield batch
                batch, room = [], full
            batch.append((item, encoded))
            room -= len(encoded) + 1
        if batch:
            yield batch

    def send(self, texts: Sequence[bytes], *, once: bool = False) -> None:
        """Push one batch, with one try if `once`. Raises unless every event was accepted."""
        body = self._head + b",".join(texts) + b"]}"
        session = self._once if once else self._session
        reply = session.call("POST", "batch", data=body, headers={"Content-Type": "application/json"})
        ids = reply.json.get("event_ids") if isinstance(reply.json, dict) else None
        accepted = len(ids) if isinstance(ids, list) else 0
        if accepted < len(texts):
            said = f"{session.who} confirmed {accepted} of {len(texts)} events of a batch, which do not count as sent."
            raise TryAgain(said, status=reply.status)


def fitting(record: Mapping[str, Any], event_of: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[str, int]:
    """The event's JSON, and the length that it has in full.

    Of an event longer than the intake accepts the record is shortened: its longest fields are cut, as their JSON where they
    are not strings, and named with their length in `MARK`. SkipRecord when that is not enough.
    """
    short, cut = dict(record), dict[str, int]()
    text = to_json(event_of(short))
    length = len(text)
    for _ in range(_MAX_CUTS):
        if len(text) <= EVENT_LIMIT:
            return text, length
        longest = max(short, key=lambda name: len(to_json(short[name])), default="")
        value = short.get(longest, "")
        field = value if isinstance(value, str) else to_json(value)
        if len(field) < _WORTH_CUTTING:
            break
        cut.setdefault(longest, len(field))
        short[longest] = field[: len(field) * EVENT_LIMIT * 98 // (len(text) * 100)]
        text = to_json(event_of({**short, MARK: cut}))
    raise SkipRecord("record", f"is {length} characters long, and cannot be shortened to {EVENT_LIMIT}")


def to_json(value: Any) -> str:
    """Compact JSON in its own order of keys; SkipRecord when a record cannot be written so (254 objects in a row)."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise SkipRecord("record", "cannot be written as JSON") from None
