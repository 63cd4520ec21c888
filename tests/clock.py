"""A clock that a test holds."""

from __future__ import annotations

import time

import pytest


class Clock:
    """The clock by which a connector's process judges whether its round hangs: `now` moves when the test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("shared.runtime.service.time", self)

    def monotonic(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)
