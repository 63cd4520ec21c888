"""An HTTP session to one origin, of a vendor or the platform: calls with their retries, rate limits and redirects.

A call returns a 2xx as a `Reply`, or raises one of `shared.errors`.
"""

from __future__ import annotations

import copy
import random
import ssl
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from threading import Event
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
from prometheus_client import Counter
from pyrate_limiter import RequestRate
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from shared import times
from shared.errors import ActionNeeded, TryAgain, UnexpectedReply
from shared.http import body as bodies
from shared.http import environment, replies
from shared.http.pace import Pace
from shared.http.tokens import FetchedToken
from shared.http.unreached import unreachable
from shared.http.urls import origin
from shared.http.wire import BoundedAdapter, OverBound

CALLS = Counter(
    "sekoia_connector_http_calls",
    "Calls made, by the name of the other side and the status it answered; none where no answer came",
    ["to", "status"],
)
_REDIRECTS = 3
_Answer = tuple[requests.Response, bytearray]


@dataclass(frozen=True)
class Patience:
    """How long one call may take, in seconds. Tries after the first begin within `budget` of the first one's end.

    `ahead`: the next page of a list is prefetched while the caller works on this one.
    """

    connect: float = 10.0
    read: float = 60.0
    attempts: int = 3
    budget: float = 15.0
    first_wait: float = 1.0
    ahead: bool = False


@dataclass(eq=False, repr=False)
class Reply:
    """A 2xx reply. `body` is decompressed. Its JSON is parsed by `parse` when first asked for, by the thread that asks."""

    who: str
    response: requests.Response
    body: bodies.Body
    parse: bodies.Parse = bodies.parse
    may_be_empty: Collection[int] = ()

    def __post_init__(self) -> None:
        self.status, self.headers, self.url = self.response.status_code, self.response.headers, self.response.url

    @property
    def date(self) -> float | None:
        """When it was sent by the server's clock, epoch seconds; None when missing."""
        return times.http_date(self.headers.get("Date"))

    @cached_property
    def json(self) -> Any:
        """The parsed body; UnexpectedReply when it is not JSON or would fill the memory."""
        return replies.parsed(self.who, self.response, self.body, self.may_be_empty, self.parse)

    @property
    def reason(self) -> str:
        """The error that the body reports, `: "…"`; "" without one."""
        return replies.detail(self.body)


@dataclass(eq=False, repr=False)
class ApiSession:
    """Calls to one origin: `base_url` is scheme, host, port and a path prefix; `who` is its name in messages.

    `stop` ends any wait at once. `verify`: True, the path of a bundle of authorities, or a TLS context
    (`shared.http.trust`). `advice` maps an HTTP status, or a key of `shared.http.unreached`, to what the customer can do
    about it. `rates`: the calls that the server allows, shortest interval first; a call above them waits for its turn.
    `may_be_empty`: the statuses whose reply may have no body; its `json` is None then.
    """

    who: str
    base_url: str
    auth: AuthBase
    _: KW_ONLY
    stop: Event = field(default_factory=Event)
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool | str | ssl.SSLContext = True
    patience: Patience = Patience()
    advice: Mapping[int, str] = field(default_factory=dict)
    rates: Sequence[RequestRate] = ()
    may_be_empty: Collection[int] = (202, 204)

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")
        if self.verify is True:
            self.verify = environment.bundle()
        self._pace = Pace(self.rates)
        self._session = _Session()
        self._session.headers.update({"Accept": "application/json", "User-Agent": "sekoia-endpoint-connectors"})
        self._session.headers.update(self.headers)

    def elsewhere(self, base_url: str, auth: AuthBase | None = None) -> Self:
        """A session to another origin, which shares all else: the credential, if no other is given, and the rate limit.

        The token is sent there: the caller vouches for the origin.
        """
        session = copy.copy(self)
        session.base_url, session.auth = base_url.rstrip("/"), auth or self.auth
        return session

    def trying_once(self) -> Self:
        """The same session, whose calls are not retried."""
        session = copy.copy(self)
        session.patience = replace(self.patience, attempts=1)
        return session

    def call(self, method: str, path: str, *, parse: bodies.Parse = bodies.parse, **options: Any) -> Reply:
        """One call, with retries after transient errors. `options` are those of `requests`.

        `path` is one under the base URL, or a link that the server gave; a link to another origin is refused unsent.
        """
        if isinstance(self.auth, FetchedToken):
            self.auth.token()  # here, so that an error in fetching it is not taken for one of this call
        limits = (
            tenacity.stop_after_attempt(self.patience.attempts),
            tenacity.stop_before_delay(self.patience.budget),
            tenacity.stop_when_event_set(self.stop),
        )
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, TryAgain) and not error.ends_round),
            after=_begin_budget,
            wait=self._wait,
            stop=tenacity.stop_any(*limits),
            sleep=tenacity.sleep_using_event(self.stop),
            reraise=True,
        )
        response, body = retrying(self._call_authenticated, method, self.url(path), options)
        return Reply(self.who, response, body, parse=parse, may_be_empty=self.may_be_empty)

    def url(self, path: str) -> str:
        """A path or link → an absolute URL of this origin; UnexpectedReply when it leads elsewhere."""
        linked = "://" in path.split("?", 1)[0] or path.startswith("//")
        return self._here(self.base_url + "/", path if linked else f"{self.base_url}/{path.lstrip('/')}")

    def _here(self, base: str, link: str) -> str:
        try:
            url = urljoin(base, link)
            there = origin(url)
        except ValueError:
            raise UnexpectedReply(f"{self.who} sent a link that is not a URL; nothing was sent there.") from None
        here = origin(self.base_url)
        if there != here:
            raise UnexpectedReply(
                f"{self.who} pointed to another host ({there[1]}) than the configured one ({here[1]}); nothing was sent "
                "there. If the address changed, put the new one in the configuration."
            )
        return url

    def _call_authenticated(self, method: str, url: str, options: dict[str, Any]) -> _Answer:
        """A 401 may only mean that the token has expired: it is fetched again once, for one more try."""
        try:
            return self._call_once(method, url, options)
        except ActionNeeded as error:
            if error.status != 401 or not isinstance(self.auth, FetchedToken):
                raise
        self.auth.renew()
        return self._call_once(method, url, options)

    def _call_once(self, method: str, url: str, options: dict[str, Any]) -> _Answer:
        for _ in range(_REDIRECTS):
            response, body = self._exchange(method, url, options)
            if not (response.is_redirect and method == "GET"):
                break
            url, options = self._here(url, response.headers["Location"]), {**options, "params": None}
        if error := replies.failure(self.who, response, body, self.advice):
            raise error
        return response, body

    def _exchange(self, method: str, url: str, options: dict[str, Any]) -> _Answer:
        self._await_turn()
        timeout, status = (self.patience.connect, self.patience.read), "none"
        try:
            # `verify` goes with each call: where REQUESTS_CA_BUNDLE is set, `requests` ignores that of its session.
            verify: Any = self.verify  # the adapter accepts a context, too
            with self._session.request(
                method, url, auth=self.auth, timeout=timeout, verify=verify, stream=True, **options
            ) as response:
                status = str(response.status_code)
                return response, bodies.read(response)
        except (requests.RequestException, HTTPError, OverBound) as error:
            raise unreachable(self.who, urlsplit(url).netloc, error, self.advice) from None
        finally:
            CALLS.labels(self.who, status).inc()

    def _await_turn(self) -> None:
        """Wait until the rate allows one more call; a stop ends the wait and the call."""
        pause = 0.0
        while not self.stop.wait(pause):
            pause = self._pace.claim()
            if not pause:
                return
        raise TryAgain(f"Stopped before {self.who} was called.")

    def _wait(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryAgain) and error.retry_after is not None:
            return error.retry_after
        wait = self.patience.first_wait * 2.0 ** (state.attempt_number - 1)
        return wait * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, protects nothing


class _Session(requests.Session):
    """Hides redirects from `requests`, which parses their target and reads their body even if it does not follow them.

    Looks for a proxy in the environment once an origin: at each call, this took longer than sending it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mount("http://", BoundedAdapter())
        self.mount("https://", BoundedAdapter())
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # not needed, and one a page adds up
        self._settings: dict[tuple[str, str, Any], Any] = {}

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc, verify)
        if key not in self._settings:
            found = super().merge_environment_settings(url, proxies, stream, verify, cert)
            proxy = environment.proxy(url)
            self._settings[key] = {**found, "proxies": {parts.scheme: proxy.url} if proxy else {}}
        return self._settings[key].copy()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _begin_budget(state: tenacity.RetryCallState) -> None:
    """Count the time for more tries from the end of the first one, not from its begin."""
    if state.attempt_number == 1:
        state.start_time = time.monotonic()
