"""The cells of the fault matrix: module × place in the cycle × fault, generated."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from lab.platform.faults import Empty, Fault, Hang, Html, RateLimited, Redirect, Reset, Status, Truncated, WrongShape
from tests.conformance_base import ConnectorConformance


@dataclass(frozen=True)
class HttpFault:
    """A fault of a server and the text of the error that it must cause. `transient`: another try of the call succeeds.

    `ends_pushing`: such an answer to a push does not concern the devices in it.
    """

    name: str
    make: Callable[[], Fault]
    says: str
    transient: bool = False
    ends_pushing: bool = False


def _in_one_second() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


HTTP_FAULTS = (
    HttpFault("timeout", lambda: Hang(60), "did not answer in time", transient=True, ends_pushing=True),
    HttpFault("reset", Reset, "could not be reached|cut|broke off", transient=True, ends_pushing=True),
    HttpFault("truncated body", Truncated, "broke off|not JSON", transient=True, ends_pushing=True),
    HttpFault("HTML with 200", Html, "something in between.*Check"),
    HttpFault("401", lambda: Status(401), "refused the credentials", ends_pushing=True),
    HttpFault("403", lambda: Status(403), "forbids|refused the credentials|403"),
    HttpFault("404", lambda: Status(404), "404"),
    HttpFault("429 without Retry-After", RateLimited, "429", transient=True, ends_pushing=True),
    HttpFault("429 with seconds", lambda: RateLimited(1), "429", transient=True, ends_pushing=True),
    HttpFault(
        "429 with a reset header",
        lambda: RateLimited(reset=("X-Rate-Limit-Reset", "1")),
        "429",
        transient=True,
        ends_pushing=True,
    ),
    HttpFault("429 with a date", lambda: RateLimited(_in_one_second()), "429", transient=True, ends_pushing=True),
    HttpFault("500", lambda: Status(500), "500", transient=True),
    HttpFault("502", lambda: Html(502), "502", transient=True),
    HttpFault("503", lambda: Status(503), "503", transient=True),
    HttpFault("504", lambda: Status(504), "504", transient=True),
    HttpFault("empty 200", Empty, "empty body|did not confirm"),
    HttpFault("wrong JSON shape", lambda: WrongShape("a text"), "without|confirm|answered|no usable token|sent"),
    HttpFault("redirect to another host", lambda: Redirect("https://elsewhere.invalid/"), "another host|redirects"),
)
ERRORS_IN_A_200, TOO_HEAVY = "errors and no records in a 200", "page too heavy"
SAME_TOKEN, NEW_TOKENS = "repeated page token", "circle under ever new page tokens"
CONTENT_FAULTS = {f"one refused with {status}": status for status in (403, 409, 500, 502, 504)}
CONSOLE_FAULTS = ("late alert", "short list", "clock behind", "clock ahead")
DISK_FAULTS = {"disk full": errno.ENOSPC, "read-only disk": errno.EROFS, "storage error": errno.EIO}
DISK_PLACES = ("state write", "state write after a push")
PLACES = ("token call", "first page", "middle page", "last page", "push", "task poll")


@dataclass(frozen=True)
class Case:
    """One cell. `lasting`: the fault strikes often enough to end a round, not only a try."""

    place: str
    fault: str
    lasting: bool

    def __str__(self) -> str:
        return f"{self.place} × {self.fault}{' (lasting)' if self.lasting else ''}"


def cases(suite: type[ConnectorConformance]) -> Iterator[Case]:
    """Every case of a vendor."""
    for place in PLACES:
        if place == "token call" and suite.lab_module.token_route is None:  # the customer enters the token itself
            continue
        if place == "task poll" and not suite.follows_tasks:  # the intake reports nothing after its answer
            continue
        for fault in HTTP_FAULTS:
            if place == "push" and fault.name in suite.taken:
                continue
            yield from (Case(place, fault.name, lasting) for lasting in (False, True))
        if "page" in place:
            if suite.lab_module.names_next_page:
                yield Case(place, SAME_TOKEN, True)
                yield Case(place, NEW_TOKENS, True)
            yield Case(place, ERRORS_IN_A_200, True)
            yield Case(place, TOO_HEAVY, True)
    if suite.delivered_by == "intake":
        yield from (Case("push", fault, True) for fault in CONTENT_FAULTS)
        yield from (Case("console", fault, True) for fault in CONSOLE_FAULTS)
    for place in DISK_PLACES:
        for fault in DISK_FAULTS:
            yield from (Case(place, fault, lasting) for lasting in (False, True))


def chosen(suite: type[ConnectorConformance], share: float, seed: int) -> list[Case]:
    """A part of the cases, the same for the same seed, with something of every place and every fault."""
    everything = list(cases(suite))
    if share >= 1:
        return everything
    random.Random(f"{seed}{suite.__name__}").shuffle(everything)
    needed = {("place", case.place) for case in everything} | {("fault", case.fault) for case in everything}
    kept = []
    for number, case in enumerate(everything):
        brings = {("place", case.place), ("fault", case.fault)} & needed
        if brings or number < share * len(everything):
            kept.append(case)
            needed -= brings
    return kept
