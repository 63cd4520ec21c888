"""The CPU time of a device by stage: each stage of a round alone, over the same pages, on one thread.

What the stages do not sum up to is the rest of the round: two threads and their queue, the push, the ingestion tasks, the
fingerprints' table and file.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import orjson

from benchmarks.limits import lifted
from lab.modules import LabModule
from shared.errors import SkipRecord
from shared.http.session import Patience
from shared.mapping import ocsf
from shared.state.fingerprints import fingerprint, key_of


@dataclass(frozen=True)
class Stages:
    """Microseconds of CPU a device, each stage alone."""

    read: float  # the client's walk: calls, bodies, JSON
    map: float
    fingerprint: float
    validate: float
    serialise: float


def stages(module: LabModule, settings: dict[str, Any]) -> Stages:
    """Read the console of these settings once, then put its devices through each stage."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)  # as `shared.runtime.heap`
    gc.freeze()  # what the benchmarks hold is no part of a round
    try:
        with lifted():
            return _stages(module, settings)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def _stages(module: LabModule, settings: dict[str, Any]) -> Stages:
    connector: Any = module.connector
    configured = module.configured(settings).configuration

    def walk() -> Iterator[Any]:
        client = connector.connect(configured, stop=Event(), patience=Patience())
        return (
            page.records for scope in connector.scopes(client) for page in connector.walk(client, None, scope).pages
        )

    sum(map(len, walk()))  # what is done once only is done
    before = time.process_time()
    devices = sum(map(len, walk()))
    read = (time.process_time() - before) / devices * 1e6
    mapper = connector.mapper()
    spent = dict.fromkeys(("map", "fingerprint", "validate", "serialise"), 0.0)
    for records in walk():
        events = _timed(spent, "map", mapper, records)
        written = zip(events, _timed(spent, "serialise", orjson.dumps, events), strict=True)
        _timed(spent, "fingerprint", lambda pair: (key_of(pair[0]["device"]["uid"]), fingerprint(*pair)), written)
        _timed(spent, "validate", ocsf.validate, events)
    return Stages(read=read, **{name: seconds / devices * 1e6 for name, seconds in spent.items()})


def _timed(spent: dict[str, float], name: str, step: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    done = []
    before = time.process_time()
    for item in items:
        try:
            done.append(step(item))
        except SkipRecord:
            continue
    spent[name] += time.process_time() - before
    return done
