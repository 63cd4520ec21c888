"""Log lines on their way to the platform."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Any

import sentry_sdk

from shared.errors import ConnectorError
from shared.http.halving import isolate_refused, may_be_content
from shared.masking import masked, shown

Line = dict[str, Any]
MAX_LINES = 5_000  # kept while the platform accepts none; the oldest are dropped
_BATCH = 200  # lines a call
EVERY = 5.0  # seconds between two calls, and after one that failed


def safe_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A log record, of whatever library, whose message and traceback are fit to be shown."""
    record = logging.LogRecord(*args, **kwargs)
    record.msg, record.args = shown(record.getMessage()), None
    if record.exc_info:
        lines = masked(logging.Formatter().formatException(record.exc_info)).splitlines()
        record.exc_text = "\n".join(map(shown, lines))
    return record


def safe_report(value: Any, _hint: Any = None) -> Any:
    """A report to Sentry with each string in it masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: safe_report(item) for key, item in value.items()}
    return [safe_report(item) for item in value] if isinstance(value, list | tuple) else value


def keep_secrets() -> None:
    """From now on all log records and reports to Sentry are safe, and calls carry no trace headers of it."""
    logging.setLogRecordFactory(safe_record)
    options = sentry_sdk.get_client().options
    options.update(include_local_variables=False, before_send=safe_report, trace_propagation_targets=[])


class LogPoster(Thread):
    """Posts log lines from a thread of its own, so that logging never waits for the platform.

    `lines` are those not posted yet. `post` sends some in one call, with one try, and raises a ConnectorError unless they
    are accepted. A line that is refused while others are accepted is dropped. Replaces the SDK's log timer.
    """

    def __init__(self, post: Callable[[Sequence[Line]], None]) -> None:
        super().__init__(name="logs", daemon=True)
        self.lines: deque[Line] = deque(maxlen=MAX_LINES)
        self._post = post
        self._due, self._closing = Event(), Event()

    def start(self) -> None:
        """Post every few seconds from now on."""
        with suppress(RuntimeError):  # it runs already
            super().start()

    def wake(self) -> None:
        """Post now."""
        self._due.set()
        self.start()

    def stop(self) -> None:
        """Nothing: the SDK stops its timer when the stop begins, and what follows is logged too. See `close`."""

    def close(self, seconds: float) -> None:
        """Post what is left, for so many seconds at most."""
        self._closing.set()
        self.wake()
        self.join(seconds)

    def run(self) -> None:
        """Post until it is closed."""
        while not self._closing.is_set():
            self._due.wait(EVERY)
            self._due.clear()
            while self.lines and not self._closing.is_set():
                if not self._post_some():
                    self._closing.wait(EVERY)
        while self.lines and self._post_some():
            pass

    def _post_some(self) -> bool:
        """Post the oldest lines. False when they were not accepted: they are kept."""
        left = [self.lines.popleft() for _ in range(min(_BATCH, len(self.lines)))]
        try:
            self._post_but_refused(left)
        except Exception as error:  # noqa: BLE001 - not even a bug may end this thread: later lines are needed all the more
            if isinstance(error, ConnectorError) and may_be_content(error):
                self.lines.extend(left)  # behind the others: one of those may show that the platform works
            else:
                room = MAX_LINES - len(self.lines)
                self.lines.extendleft(reversed(left[-room:] if room else []))
            return False
        return True

    def _post_but_refused(self, left: list[Line]) -> None:
        """Post all, in parts if they are refused; what is accepted, or refused alone, is then removed from `left`."""
        try:
            self._post(left)
        except ConnectorError as refusal:
            for part, _ in isolate_refused([*left], self._post, refusal):
                for line in part:
                    left.remove(line)
