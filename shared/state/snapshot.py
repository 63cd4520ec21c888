"""The state of a device connector: `context.json` and the memory of each scope, written together.

Fingerprints are written first, then the context, which names their generation: a memory older than its context is a copy
that was restored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from shared.state.fingerprints import FORGOTTEN_AFTER, Fingerprints
from shared.state.storage import JsonFile, Overtaken, next_write, remove

_SCOPES = "scopes"  # the state of scopes, by key
_GENERATION = "generation"
_LISTED = "listed_at"
_DAY = 86_400


class Snapshot:
    """`context` is the whole of `context.json`; `of` gives the part of one scope, `memory` its fingerprints."""

    def __init__(self, file: JsonFile, memory: Callable[[str], Fingerprints]) -> None:
        self.context: dict[str, Any] = {}
        self._file = file
        self._open = memory
        self._memories: dict[str, Fingerprints] = {}
        self._stored = b""
        self._next_write = 0.0
        self._present: set[str] | None = None  # the scopes that were listed last

    @property
    def damaged(self) -> bool:
        """Whether `context.json` was, when it was read."""
        return self._file.damaged

    def recall(self) -> None:
        """Read the context again, at the begin of a round; the memories too, unless they hold what is not yet stored."""
        self.context = self._file.read()
        self._stored = orjson.dumps(self.context)
        for memory in self._memories.values():
            memory.begin_copy()

    def of(self, scope: str) -> dict[str, Any]:
        """What is stored of a scope: changed in place. The whole of a vendor without scopes has the key ""."""
        if not scope:
            return self.context
        part: dict[str, Any] = self.context.setdefault(_SCOPES, {}).setdefault(scope, {})
        return part

    def parts(self) -> Iterator[dict[str, Any]]:
        """The context itself, and the parts of all scopes."""
        yield self.context
        yield from self.context.get(_SCOPES, {}).values()

    def present(self) -> Iterator[dict[str, Any]]:
        """The parts of the scopes that were listed last; of all, before the first listing."""
        return (self.of(scope) for scope in self.scopes() if self._present is None or scope in self._present)

    def scopes(self) -> list[str]:
        """The keys of all scopes of which something is stored, "" among them."""
        return ["", *self.context.get(_SCOPES, {})]

    def memory(self, scope: str) -> Fingerprints:
        """The fingerprints of a scope. A generation older than the context's makes them `restored`."""
        if scope not in self._memories:
            memory = self._memories[scope] = self._open(scope)
            memory.restored |= memory.generation < self.of(scope).get(_GENERATION, 0)
        return self._memories[scope]

    def store(self, *, now: bool = True) -> None:
        """Write what changed; without `now` only when enough time has passed. TryAgain when another process wrote."""
        began = time.monotonic()
        if not now and began < self._next_write:
            return
        try:
            for scope, memory in self._memories.items():
                memory.save()
                self.of(scope)[_GENERATION] = memory.generation
            context = orjson.dumps(self.context)
            if context != self._stored:
                self._file.write(self.context)
                self._stored = context
        except Overtaken:
            self._memories.clear()
            raise
        self._next_write = next_write(began, time.monotonic())

    def release(self) -> None:
        """Free the memories whose content is stored: the next round reads them again."""
        self._memories = {scope: memory for scope, memory in self._memories.items() if memory.unsaved}

    def listed(self, scopes: set[str], now: float) -> None:
        """Note which scopes there are; what is stored of one that left 30 days ago is removed, its memory too."""
        self._present = scopes
        for scope in scopes - {""}:
            seen = self.of(scope).setdefault(_LISTED, int(now))
            if abs(now - seen) > _DAY:
                self.of(scope)[_LISTED] = int(now)
        for scope, part in [*self.context.get(_SCOPES, {}).items()]:
            if scope not in scopes and now - part.setdefault(_LISTED, int(now)) > FORGOTTEN_AFTER:
                remove(self.memory(scope).path)
                del self._memories[scope], self.context[_SCOPES][scope]
