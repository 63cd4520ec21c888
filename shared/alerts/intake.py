"""Handing events to the platform's intake, in batches measured as they travel.

Contract (Sekoia.io SDK 1.27): `POST {intake}/batch` with `{"intake_key", "jsons": [text, …]}`, at most 10,485,760 bytes,
an event at most 250,000 characters; a 2xx names as many `event_ids` as events were taken.
"""

from __future__ import annotations

import math
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
_MOST_CUTS = 100
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
        self._head = b'{"intake_key":' + orjson.dumps(key) + b',"jsons":['

    def batches(
        self, events: Iterable[tuple[Item, str]], most_of: Callable[[Item], float] = lambda _: math.inf
    ) -> Iterator[tuple[list[Item], list[bytes]]]:
        """Events in their order, by as many as one request holds: what came with each, and its encoded text.

        `most_of`: how many an event may share a batch with, itself counted; only such as may be with as many.
        """
        items: list[Item] = []
        texts: list[bytes] = []
        room, most = self.limit - len(self._head) - 2, math.inf
        for item, text in events:
            encoded = orjson.dumps(text)  # a JSON string: with the escapes that it travels with
            before, most = most, most_of(item)
            if texts and (len(encoded) + 1 > room or len(texts) >= most or most != before):
                yield items, texts
                items, texts, room = [], [], self.limit - len(self._head) - 2
            items.append(item)
            texts.append(encoded)
            room -= len(encoded) + 1
        if texts:
            yield items, texts

    def send(self, texts: Sequence[bytes]) -> list[str]:
        """Push one batch; → the ids it was given. Raises unless every event of it was accepted: an error that is
        `of_contents` where the intake answered that it did not take them all."""
        body = self._head + b",".join(texts) + b"]}"
        reply = self._session.call("POST", "batch", data=body, headers={"Content-Type": "application/json"})
        ids = reply.json.get("event_ids") if isinstance(reply.json, dict) else None
        accepted = len(ids) if isinstance(ids, list) else 0
        if accepted < len(texts):
            error = TryAgain(
                f"{self._session.who} confirmed {accepted} of {len(texts)} events of a batch, which do not count as sent."
            )
            error.of_contents = isinstance(ids, list)
            raise error
        return [str(one) for one in ids or []]


def fitting(record: dict[str, Any], event_of: Callable[[dict[str, Any]], dict[str, Any]]) -> tuple[str, int]:
    """The event's JSON, of a shortened record where it would be longer than the intake takes, and its whole length.

    SkipRecord when it cannot be shortened.
    """
    text = as_text(event_of(record))
    whole, most = len(text), EVENT_LIMIT - 1000
    while len(text) > EVENT_LIMIT:
        short = shortened(record, most) if most > 1000 else None
        if short is None:
            raise SkipRecord("record", f"is {whole} characters long, and cannot be shortened to {EVENT_LIMIT}")
        text = as_text(event_of(short))
        most //= 2  # an event may hold a field twice
    return text, whole


def shortened(record: Mapping[str, Any], most: int) -> dict[str, Any] | None:
    """A copy of at most `most` characters of JSON: its longest fields are cut, and named with their length in `MARK`.

    What is no text becomes one, its JSON, where it has to be cut. None where that does not help.
    """
    short, cut = dict(record), dict[str, int]()
    for _ in range(_MOST_CUTS):
        excess = len(as_text({**short, MARK: cut})) - most
        if excess <= 0:
            return {**short, MARK: cut}
        longest = max(short, key=lambda name: len(as_text(short[name])), default="")
        value = short.get(longest, "")
        text = value if isinstance(value, str) else as_text(value)
        if len(text) < _WORTH_CUTTING:
            return None
        cut.setdefault(longest, len(text))
        encoded = len(as_text(text))  # with its escapes, so that as much is cut as need be and no more
        short[longest] = text[: len(text) * max(0, encoded - excess - 64) // encoded]
    return None


def as_text(value: Any) -> str:
    """Compact JSON in its own order of keys; SkipRecord when a record cannot be written so (254 objects in a row)."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise SkipRecord("record", "cannot be written as JSON") from None
