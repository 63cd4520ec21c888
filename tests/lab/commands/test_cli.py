"""`sekoia-lab`, as a person or a script runs it: arguments and input in, output and exit code out."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.consoles.sentinelone import SimulatedSentinelOne
from lab.fleet.sentinelone import sentinelone_agents
from lab.modules import MODULES
from tests.lab.command_line import lab, lines
from tests.ocsf import assert_is_ocsf
from tests.waiting import HANGS, until

SECRET = "s3cret-of-the-console"


@pytest.fixture
def console() -> Iterator[SimulatedSentinelOne]:
    with SimulatedSentinelOne(SECRET) as console:
        console.has(12)
        yield console


@pytest.fixture
def config(console: SimulatedSentinelOne, tmp_path: Path) -> Path:
    path = tmp_path / "module.json"
    path.write_text(json.dumps({"hostname": console.url, "api_token": SECRET}))
    return path


# --- map


@pytest.mark.parametrize("form", ["object", "array", "lines"])
@pytest.mark.parametrize("place", ["file", "stdin", "dash"])
def test_map_reads_every_form_from_every_place(form: str, place: str, tmp_path: Path) -> None:
    agents = list(sentinelone_agents(1 if form == "object" else 3))
    text = {
        "object": lambda: json.dumps(agents[0], indent=2),
        "array": lambda: json.dumps(agents),
        "lines": lambda: "\n".join(map(json.dumps, agents)) + "\n",
    }[form]().encode()
    file = tmp_path / "agents.json"
    file.write_bytes(text)
    arguments = {"file": [file], "stdin": [], "dash": ["-"]}[place]
    done = lab("map", "SentinelOne", *arguments, stdin=b"" if place == "file" else text)
    assert (done.returncode, done.stderr) == (0, "")
    events = lines(done.stdout)
    assert [event["device"]["uid"] for event in events] == [agent["uuid"] for agent in agents]
    for event in events:
        assert_is_ocsf(event)


def test_map_on_a_full_agent_prints_every_field_of_the_table() -> None:
    record = json.loads((Path(__file__).parents[2] / "sentinelone/payloads/specification_fields.json").read_text())[
        "record"
    ]
    done = lab("map", "SentinelOne", stdin=json.dumps(record).encode())
    [event] = lines(done.stdout)
    told = {
        path for row in MODULES["SentinelOne"].connector.fields for path in [row.path] if _at(event, path) is not None
    }
    not_in_the_specification = {"device.eid", "device.org"}
    assert {row.path for row in MODULES["SentinelOne"].connector.fields} - told == not_in_the_specification


def test_map_names_each_record_it_cannot_map_in_one_line() -> None:
    records = b'{"id":"1"}\n{"computerName":"x"}\nno json\n42\n{"id":"2","osName":NaN}\n{"id":"3"}\n'
    done = lab("map", "SentinelOne", stdin=records)
    assert done.returncode == 1
    assert [event["device"]["uid"] for event in lines(done.stdout)] == ["1", "3"]
    assert done.stderr.splitlines() == [
        "record 2: uuid or id: is missing",
        "record 3: record: is not JSON",
        "record 4: record: is a number, not an object",
        "record 5: osName: NaN is not a JSON number",
    ]


GROUPS = [{"uuid": "g1", "displayName": "Finance"}, {"uuid": "g2", "displayName": "Sales"}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"deviceGroups": GROUPS, "nextPageToken": ""}),
        json.dumps(GROUPS),
        "\n".join(map(json.dumps, GROUPS)),
        "\n".join(json.dumps({"deviceGroups": [group]}) for group in GROUPS),
    ],
    ids=["answer", "list", "lines", "answers"],
)
def test_map_adds_groups_to_devices_that_have_the_id_only(text: str, tmp_path: Path) -> None:
    groups, devices = (
        tmp_path / "groups.json",
        b'{"uuid":"1","parentGroupUuid":"g2"}\n{"uuid":"2","parentGroupUuid":"?"}',
    )
    groups.write_text(text)
    done = lab("map", "ESET", "--groups", groups, stdin=devices)
    assert (done.returncode, done.stderr) == (0, "")
    found = [event["device"].get("groups") for event in lines(done.stdout)]
    assert found == [[{"name": "Sales", "uid": "g2"}], None]
    without = lines(lab("map", "ESET", stdin=devices).stdout)
    assert [event["device"].get("groups") for event in without] == [None, None]


def test_map_refuses_groups_where_devices_bring_theirs(tmp_path: Path) -> None:
    (tmp_path / "groups.json").write_text("[]")
    done = lab("map", "SentinelOne", "--groups", tmp_path / "groups.json", stdin=b'{"id":"1"}')
    assert (done.returncode, done.stdout) == (2, "")
    assert "--groups" in done.stderr


@pytest.mark.parametrize("content", [None, "no json"])
def test_map_says_which_file_of_groups_cannot_be_read(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "groups.json"
    if content:
        path.write_text(content)
    done = lab("map", "ESET", "--groups", path, stdin=b'{"uuid":"1"}')
    assert (done.returncode, done.stdout) == (2, "")
    assert "groups.json" in re.sub(r"[\s│]", "", done.stderr)  # the box breaks a long path


@pytest.mark.parametrize("name", ["sentinelone", "SENTINELONE"])
def test_a_modules_name_is_accepted_in_any_case(name: str) -> None:
    assert lab("map", name, stdin=b'{"id":"1"}').returncode == 0


def test_an_unknown_module_is_answered_with_the_known_ones() -> None:
    done = lab("map", "Sentinel2")
    assert done.returncode == 2
    assert "SentinelOne" in done.stderr


# --- check and preview


def test_check_says_yes_with_exit_code_0(config: Path) -> None:
    done = lab("check", "SentinelOne", "--module-config", config)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("Yes.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"api_token": "wrong"}, r"refused the credentials"),
        ({"api_token": ""}, r"API Token is empty"),
        ({"api_token": "two\nlines"}, r"contains a space"),
        ({"hostname": "https://localhost:1"}, r"could not be reached"),
        ({"hostname": "http://console.example"}, r"must begin with https://"),
        ({"hostname": "https://no-such-host.invalid"}, r"could not be reached|proxy"),
        ({"hostname": None}, r"URL Domain is empty"),
        ({"hostname": " "}, r"URL Domain is empty"),
    ],
)
def test_check_says_what_is_wrong_with_exit_code_1(config: Path, change: dict[str, Any], said: str) -> None:
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    done = lab("check", "SentinelOne", "--module-config", config)
    assert done.returncode == 1
    assert re.search(said, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_check_names_a_missing_right(console: SimulatedSentinelOne, config: Path) -> None:
    console.viewer = False
    done = lab("check", "SentinelOne", "--module-config", config)
    assert done.returncode == 1
    assert "Viewer" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", "no json"])
def test_a_configuration_that_is_not_a_json_object_is_refused(config: Path, content: str) -> None:
    config.write_text(content)
    done = lab("check", "SentinelOne", "--module-config", config)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_preview_shows_so_many_devices_and_writes_nothing(config: Path) -> None:
    before = set(config.parent.iterdir())
    done = lab("preview", "SentinelOne", "--module-config", config, "--limit", "5")
    assert (done.returncode, done.stdout) == (0, "")
    assert "5 devices read" in done.stderr
    assert set(config.parent.iterdir()) == before


def test_preview_as_json_is_what_would_be_sent(config: Path) -> None:
    done = lab("preview", "SentinelOne", "--module-config", config, "--limit", "5", "--json")
    assert done.returncode == 0
    assert len(lines(done.stdout)) == 5
    assert SECRET not in done.stdout + done.stderr


# --- run and demo


def test_a_second_run_over_the_same_data_sends_nothing(config: Path, tmp_path: Path) -> None:
    arguments = tmp_path / "connector.json"
    arguments.write_text("{}")
    common = ("--module-config", config, "--connector-config", arguments, "--data", tmp_path / "data", "--once")
    first = lab("run", "SentinelOne", *common)
    assert first.returncode == 0
    assert len(lines(first.stdout)) == 12
    second = lab("run", "SentinelOne", *common, "--out", tmp_path / "second.jsonl")
    assert (second.returncode, second.stdout) == (0, "")
    assert not (tmp_path / "second.jsonl").exists()


def test_a_run_that_fails_says_why_with_exit_code_1(config: Path, tmp_path: Path) -> None:
    config.write_text(json.dumps({**json.loads(config.read_text()), "api_token": "wrong"}))
    arguments = tmp_path / "connector.json"
    arguments.write_text("{}")
    done = lab(
        *("run", "SentinelOne", "--module-config", config, "--connector-config", arguments),
        *("--data", tmp_path / "data", "--once"),
    )
    assert done.returncode == 1
    assert "refused the credentials" in done.stderr
    assert "Traceback" not in done.stderr + (tmp_path / "data/module.log").read_text()


def test_a_run_behind_a_proxy_reaches_its_own_process_and_platform_directly(config: Path, tmp_path: Path) -> None:
    """Where HTTP_PROXY is set and NO_PROXY does not name this machine, the run waited for ever."""
    arguments = tmp_path / "connector.json"
    arguments.write_text("{}")
    for no_proxy in ("", "example.com"):
        done = lab(
            *("run", "SentinelOne", "--module-config", config, "--connector-config", arguments),
            *("--data", tmp_path / f"data-{no_proxy}", "--once"),
            HTTP_PROXY="http://127.0.0.1:1",
            http_proxy="http://127.0.0.1:1",
            NO_PROXY=no_proxy,
            no_proxy=None,
        )
        assert done.returncode == 0, done.stderr
        assert len(lines(done.stdout)) == 12


def test_the_demo_delivers_every_device_and_leaves_a_report(tmp_path: Path) -> None:
    done = lab("demo", "--devices", "40", "--out", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    events = lines((tmp_path / "sent.jsonl").read_text())
    assert len(events) == 40 * len(MODULES)
    for name in MODULES:
        assert name in done.stderr
    assert "Alerts by severity" in done.stderr
    assert "Alerts by attack vector" in done.stderr
    report = (tmp_path / "report.html").read_text()
    devices = [event["device"] for event in events if "device" in event]
    assert len(devices) == 40 * (len(MODULES) - 1)
    assert all(device["hostname"] in report for device in devices if device["hostname"].isalnum())
    alerts = [event for event in events if "device" not in event]
    assert {alert["severity"] for alert in alerts} | {alert["attack_vector"] for alert in alerts} <= set(
        re.findall(r"[^<>\n]+", report)
    )
    assert "http" not in report.replace("http-equiv", "")
    findings = ["coverage", "unencrypted", "silent", "unmanaged"]
    sections = ["modules", "devices", "hostnames", *findings, "alerts", "skipped", "all-devices", "all-alerts"]
    assert re.findall(r'<section id="([^"]+)"', report) == sections
    for reason in ("record: is a text, not an object", "id: is missing", "totalMemory: NaN is not a JSON number"):
        assert f">{reason}</" in report


def _at(event: Any, path: str) -> Any:
    for step in path.split("."):
        event = event.get(step) if isinstance(event, dict) else None
    return event


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the module in /proc")
def test_sigterm_ends_a_run_and_the_module_that_it_started(config: Path, tmp_path: Path) -> None:
    """The module ran on, with the customer's credentials, and nobody to stop it."""
    arguments = tmp_path / "connector.json"
    arguments.write_text("{}")
    data = tmp_path / "data"
    words = ("run", "SentinelOne", "--module-config", config, "--connector-config", arguments, "--data", data)
    program = [sys.executable, "-c", "from lab.cli import main; main()"]
    with subprocess.Popen([*program, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        try:
            until((data / "context.json").exists)
            [module] = Path(f"/proc/{command.pid}/task/{command.pid}/children").read_text().split()
        finally:
            command.terminate()
        command.communicate(timeout=HANGS)
    assert not Path(f"/proc/{module}").exists()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (data, *data.iterdir())}
    assert modes.pop("data") == 0o700
    assert set(modes.values()) == {0o600}, modes
    assert {"module.log", "asset_schema_fields.json", "context.json"} <= modes.keys()


def test_a_key_that_would_steer_a_terminal_is_written_out_by_map(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": "1", "a\\u001b[2J\\u202e\\nrecord 7: forged": NaN}')
    done = lab("map", "SentinelOne", tmp_path / "a.json")
    assert done.returncode == 1
    assert done.stderr == r"record 1: a\x1b[2J\u202e record 7: forged: NaN is not a JSON number" + "\n"
