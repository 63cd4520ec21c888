"""What can go wrong, by who has to act.

    ConnectorError
    ├── ActionNeeded      the customer must act: credentials, rights, a wrong URL, an expired token
    ├── TryAgain          transient: a timeout, an overload, a platform that refused a batch
    ├── UnexpectedReply   the other side answered something that cannot be read
    └── SkipRecord        one record cannot be mapped; the page goes on without it

Everything else is a bug and travels up. A message says who, what was being done, what came back and what to do;
it is one line, bounded, and without any live secret (`shared.masking`). The first three are caught in the cycle and in
the account validator only.
"""

from __future__ import annotations

from copy import copy
from typing import Self

from shared.masking import shown


class ConnectorError(Exception):
    """Root of the errors a person may read; `str()` of each is a complete message.

    `status`: the HTTP status, if any. `quoted`: the reason that the API gave, `: "…"` or ""; None where something in
    between answered in its place. `retry_after`: seconds that the other side asked to wait. `may_be_size`: the server
    began to answer and failed, so that a smaller page may work. `ends_round`: the rest of the round would fail, too.
    """

    ends_round = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        quoted: str | None = "",
        retry_after: float | None = None,
        may_be_size: bool = False,
    ) -> None:
        super().__init__(shown(message))
        self.status, self.quoted = status, quoted
        self.retry_after, self.may_be_size = retry_after, may_be_size

    def adding(self, more: str) -> Self:
        """The same error, with a message that also says what follows from it."""
        error = copy(self)
        error.args = (shown(f"{self} {more}"),)
        return error


class ActionNeeded(ConnectorError):
    """Waiting will not help: the message says what the customer has to change."""


class TryAgain(ConnectorError):
    """Transient: the same call may succeed later."""


class UnexpectedReply(ConnectorError):
    """The reply is not what the API documents; nothing may be concluded from it."""


class SkipRecord(ConnectorError):
    """One record cannot be mapped. Names the vendor's field and why, never its value."""

    def __init__(self, field: str, reason: str) -> None:
        Exception.__init__(self, f"{field}: {reason}")  # not masked: of millions, only a thousand are logged
        self.status = None
        self.field = field
        self.reason = reason
