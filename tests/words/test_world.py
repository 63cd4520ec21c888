"""*Test connector* against what the world answers: whose fault it is, in the other side's words. A table a module, as text.

The tables are in `tests/<vendor>/words`; `UPDATE_GOLDEN=1 pytest tests/words` writes them again. Review them as diffs.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from typer.testing import CliRunner

from lab.cli import app
from lab.modules import LabModule
from shared.http.environment import BUNDLES
from tests.shared.http.test_unreached import OK, proxying, serving
from tests.shared.loopback import Exchange, Loopback, Received
from tests.words.test_typed import CLASSES, ONCE, compare, each_module, sound
from tests.words.typed import TOKEN
from tests.words.world import LOGIN, READING, Answer, Api, api_of, settings_for

CREDENTIAL = re.compile(r"(?i)create a new|role|permission|toggle|right to see|check the (api token|client id)")
DAY = timedelta(days=1)


class Console:
    """A server that logs in whoever asks, and gives one answer to all other calls (or to the login)."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.answer: Answer | None = None
        self.server = Loopback(self._reply)

    def _reply(self, exchange: Exchange, call: Received) -> None:
        answer, login = self.answer, call.method == "POST"
        if answer is None or login != answer.name.startswith("login:"):
            exchange.reply(200, self._api.token if login else self._whoami())
        elif call.path.startswith("/whoami"):
            exchange.reply(200, self._whoami())
        else:
            form = self._api.login if login else self._api.error
            body = form(answer.reason, answer.status) if answer.reason else answer.body.encode()
            exchange.reply(answer.status, body, **{name.replace("-", "_"): at for name, at in answer.headers.items()})

    def _whoami(self) -> dict[str, Any]:
        return {"id": "0", "idType": "tenant", "apiHosts": {"dataRegion": self.server.url}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.runtime.connection_test.PATIENCE", ONCE)
    for name in (*BUNDLES, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def console(module: LabModule) -> Iterator[Console]:
    found = Console(api_of(module))
    yield found
    found.server.close()


def said_by(module: LabModule, **settings: Any) -> str:
    """What *Test connector* says of these settings; the numbers of ports and the time are left out."""
    validator = module.validator(module.configured(sound(module, **settings)))
    assert not validator.validate(), "it was to fail"
    said = re.sub(r"(127\.0\.0\.1|localhost):\d+", "HOST", str(validator._error))
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z?", "NOW", said)


def answers_of(module: LabModule) -> list[Answer]:
    return READING + (LOGIN if module.token_route else [])


def said_of_answer(module: LabModule, console: Console, answer: Answer) -> str:
    console.answer = answer
    return said_by(module, **settings_for(module, console.server.url))


def on_the_way(module: LabModule, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[tuple[str, str]]:
    """What is said where no answer comes: proxies, certificates, names."""
    ours, now = trustme.CA(), datetime.now(UTC)
    elsewhere = settings_for(module, "https://console.example")
    for name, status in (
        ("proxy asks for a password", "407 Proxy Authentication Required"),
        ("proxy forbids", "403 Forbidden"),
        ("proxy reaches nobody", "503 Service Unavailable"),
    ):
        with serving(proxying(status)) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            yield name, said_by(module, **elsewhere)
    for name, proxy in (
        ("proxy is away", "http://localhost:1"),
        ("proxy's password is not encoded", "http://me:pw#1@proxy.example:3128"),
        ("proxy is SOCKS", "socks5://proxy.example:1080"),
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        yield name, said_by(module, **elsewhere)
    monkeypatch.delenv("HTTPS_PROXY")
    yield "unknown host", said_by(module, **settings_for(module, "https://no-such-host.invalid"))
    yield "nobody listens", said_by(module, **settings_for(module, "https://127.0.0.1:1"))
    with serving(OK) as port:
        yield "no TLS on the port", said_by(module, **settings_for(module, f"https://127.0.0.1:{port}"))
    with serving(lambda connection: None) as port:
        yield "handshake cut", said_by(module, **settings_for(module, f"https://127.0.0.1:{port}"))
    for name, trusted, names, lasts in (
        ("unknown authority", False, "127.0.0.1", (now - DAY, now + DAY)),
        ("our clock is behind", True, "127.0.0.1", (now + DAY, now + 2 * DAY)),
        ("certificate expired", True, "127.0.0.1", (now - 2 * DAY, now - DAY)),
        ("certificate for another name", True, "other.example", (now - DAY, now + DAY)),
    ):
        tls, bundle = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), folder / "bundle.pem"
        ours.issue_cert(names, not_before=lasts[0], not_after=lasts[1]).configure_cert(tls)
        ours.cert_pem.write_to_path(str(bundle))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle) if trusted else "")
        with serving(OK, tls) as port:
            yield name, said_by(module, **settings_for(module, f"https://127.0.0.1:{port}"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle.pem")
    yield "bundle is missing", said_by(module, **elsewhere)


@each_module
def test_what_the_world_answers_is_said_in_words(
    module: LabModule, console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = [f"# {module.name}: what the world answers, and what *Test connector* says", ""]
    for answer in answers_of(module):
        lines.append(f"{answer.name} (HTTP {answer.status}): {said_of_answer(module, console, answer)}")
    lines += ["", "## No answer", ""]
    lines += [f"{name}: {said}" for name, said in on_the_way(module, monkeypatch, tmp_path)]
    for line in lines:
        assert not set(re.findall(r"\w+", line)) & CLASSES, line
        assert TOKEN not in line
        assert "Internal error" not in line
    compare(module, "world.txt", lines)


@each_module
def test_a_credential_is_blamed_only_where_the_api_itself_refused_it(module: LabModule, console: Console) -> None:
    for answer in answers_of(module):
        said = said_of_answer(module, console, answer)
        if answer.own:
            assert f'"{answer.reason}"' in said, "the API's reason is quoted"
        elif answer.body.startswith("<"):
            assert not CREDENTIAL.search(said.partition(". ")[2]), said
        if answer.body and not answer.body.startswith("{"):
            assert "something in between (proxy, web filter, login)" in said
            assert "password" not in said.lower().replace("asks for a user name and a password", "").partition('"')[0]


@each_module
def test_check_says_what_the_button_says(module: LabModule, console: Console, tmp_path: Path) -> None:
    settings = sound(module, **settings_for(module, console.server.url))
    config = tmp_path / "settings.json"
    config.write_text(json.dumps(settings))
    for answer in (READING[0], READING[10], READING[-1]):
        console.answer = answer
        validator = module.validator(module.configured(settings))
        assert not validator.validate()
        done = CliRunner().invoke(app, ["check", module.name, "--module-config", str(config)])
        assert done.exit_code == 1
        assert str(validator._error) in " ".join(done.output.split())
