"""The local platform answers the SDK's eight calls, and refuses what the real one could not take."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from lab.platform.faults import Status
from lab.platform.local import INTAKE_LIMIT, LocalPlatform

CONNECTOR = "0f3a2b64-5b8e-4c1e-9d57-2d4f0c8a1e10"
PUSH = f"/api/v2/asset-management/asset-connector/{CONNECTOR}"


@pytest.fixture
def platform() -> Iterator[LocalPlatform]:
    with LocalPlatform(module_secrets={"api_token": "s3cret"}, node_secrets={"sekoia_api_key": "key"}) as running:
        yield running


def device(uid: str, **fields) -> dict:
    return {
        "activity_id": 2,
        "activity_name": "Collect",
        "category_name": "Discovery",
        "category_uid": 5,
        "class_name": "Device Inventory Info",
        "class_uid": 5001,
        "type_name": "Device Inventory Info: Collect",
        "type_uid": 500102,
        "severity": "Informational",
        "severity_id": 1,
        "time": 1767225600.5,
        "metadata": {"product": {"name": "Lab", "vendor_name": "Lab", "version": "1"}, "version": "1.6.0"},
        "device": {"uid": uid, "hostname": f"host-{uid}", "type": "Desktop", "type_id": 2, **fields},
        "enrichments": [{"name": "Users", "value": "a", "data": {}}],
    }


def call(platform: LocalPlatform, method: str, path: str, body=None, token: str | None = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or platform.token}"}
    return requests.request(method, platform.url + path, json=body, headers=headers, timeout=60)


def push(platform: LocalPlatform, *items, path: str = PUSH) -> requests.Response:
    return call(platform, "POST", path, {"version": 1, "items": list(items)}, platform.api_key)


def task(platform: LocalPlatform, pushed: requests.Response) -> dict:
    return call(platform, "GET", f"/api/v1/tasks/{pushed.json()['task_id']}", token=platform.api_key).json()


def test_secrets_are_handed_out_to_the_container_alone(platform):
    assert call(platform, "GET", "/api/v1/secrets/any").json() == {
        "value": {"api_token": "s3cret"},
        "node_value": {"sekoia_api_key": "key"},
    }
    assert call(platform, "GET", "/api/v1/secrets/any", token="other").status_code == 401


def test_logs_are_kept(platform):
    line = {"date": "2026-01-01T00:00:00.000001", "level": "info", "message": "read 3"}
    assert call(platform, "POST", "/logs", {"logs": [line]}).ok
    assert [(log.level, log.message) for log in platform.logs] == [("info", "read 3")]
    assert call(platform, "POST", "/logs", {"logs": [{**line, "level": "loud"}]}).status_code == 400
    assert platform.refused[0].route == "logs"


def test_events_need_a_name_an_event_and_a_uuid(platform):
    event = {"name": "Alert", "event": {"a": 1}, "request_id": str(uuid.uuid4())}
    assert call(platform, "POST", "/callback/any", event).ok
    [run] = platform.playbook_runs
    assert (run.connector, run.name, run.event, run.request_id) == ("any", "Alert", {"a": 1}, event["request_id"])
    assert call(platform, "POST", "/callback/any", {**event, "request_id": "1"}).status_code == 400
    assert call(platform, "POST", "/callback/any", {"event": {}}).status_code == 400


def test_a_validation_is_given_the_secrets_and_its_result_is_kept(platform):
    started = call(platform, "PATCH", "/callback/any", {"status": "running"})
    assert started.json() == {"module_configuration": {"value": {"api_token": "s3cret"}}}
    assert platform.validation_running
    result = {"status": "finished", "results": {"success": False}, "error": "The token has expired."}
    assert call(platform, "PATCH", "/callback/any", result).ok
    assert platform.validation == result
    assert call(platform, "PATCH", "/callback/any", {"status": "finished"}).status_code == 400


def test_the_intake_answers_an_id_for_each_event(platform):
    body = {"intake_key": platform.intake_key, "jsons": ['{"a":1}', "plain text"]}
    answer = requests.post(f"{platform.url}/intake/batch", json=body, timeout=60).json()
    assert answer["received"] is True
    assert len({uuid.UUID(event_id) for event_id in answer["event_ids"]}) == 2
    assert platform.alerts == body["jsons"]


def test_the_intake_refuses_a_wrong_key_a_wrong_shape_and_too_much(platform):
    def post(body) -> int:
        return requests.post(f"{platform.url}/intake/batch", json=body, timeout=60).status_code

    assert post({"intake_key": "other", "jsons": []}) == 401
    assert post({"jsons": []}) == 401
    assert post({"intake_key": platform.intake_key, "jsons": [{"a": 1}]}) == 400
    assert post({"intake_key": platform.intake_key, "jsons": ["x" * INTAKE_LIMIT]}) == 413
    assert platform.alerts == []


def test_an_accepted_batch_is_ingested_and_named_by_a_task(platform):
    pushed = push(platform, device("a"), device("b"))
    assert pushed.status_code == 200
    assert task(platform, pushed)["status"] == "FINISHED"
    assert platform.devices["a"]["device"]["hostname"] == "host-a"
    assert [(p.size, p.connector) for p in platform.pushes] == [(2, CONNECTOR)]


def test_the_latest_event_of_a_device_is_kept_and_deliveries_are_counted(platform):
    push(platform, device("a"), device("b"))
    push(platform, device("a", domain="example.com"))
    assert platform.devices["a"]["device"]["domain"] == "example.com"
    assert platform.deliveries == {"a": 2, "b": 1}


def test_devices_can_be_asked_for_by_connector(platform):
    push(platform, device("a"))
    other = str(uuid.uuid4())
    push(platform, device("b"), path=PUSH.replace(CONNECTOR, other))
    assert set(platform.devices_of(other)) == {"b"}
    assert set(platform.devices) == {"a", "b"}


def test_without_tasks_the_answer_is_an_empty_object():
    with LocalPlatform(tasks=False) as platform:
        assert push(platform, device("a")).json() == {}
        assert set(platform.devices) == {"a"}


def test_pushes_and_tasks_need_the_api_key_and_not_the_containers_token(platform):
    for method, path in (("POST", PUSH), ("GET", "/api/v1/tasks/x")):
        refused = call(platform, method, path, {"version": 1, "items": []})
        assert refused.status_code == 401
        assert set(refused.json()) == {"code", "message"}


def test_a_connector_without_a_uuid_has_nowhere_to_push(platform):
    assert push(platform, device("a"), path=PUSH.replace(CONNECTOR, "None")).status_code == 404


def without(key: str) -> dict:
    event = device("b")
    del event["device"][key]
    return event


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (without("hostname"), "items.1: device.hostname"),
        (without("uid"), "items.1: device.uid"),
        (device("b", type="Laptop", type_id=3), "items.1: device.type"),
        (device("b", serial_number="1"), "items.1: device.serial_number: not in the model"),
        (device("b", os={"name": "x", "build": "1"}), "items.1: device.os.build"),
        (device("b", risk_score="3"), "items.1: device.risk_score: str where the model has int"),
        (device("b", network_interfaces=[{"ip": "10.0.0.1", "subnet": "x"}]), "device.network_interfaces.0.subnet"),
        ({**device("b"), "activity": 2}, "items.1: activity: not in the model"),
        ("not an object", "items.1: item"),
        (None, "items.1: item"),
    ],
)
def test_one_invalid_item_refuses_the_batch_and_says_why(platform, item, where):
    refused = push(platform, device("a"), item)
    assert refused.status_code == 400
    assert where in refused.json()["message"]
    assert where in platform.refused[0].reason
    assert platform.devices == {}
    assert platform.pushes == []


def test_a_null_counts_as_absent(platform):
    assert push(platform, device("a", domain=None, ip=None)).status_code == 200


@pytest.mark.parametrize("body", [None, [], {"items": []}, {"version": 2, "items": []}, {"version": 1, "items": {}}])
def test_a_batch_of_another_shape_is_refused(platform, body):
    assert call(platform, "POST", PUSH, body, platform.api_key).status_code == 400


def test_a_task_is_pending_then_running_then_finished(platform):
    platform.task_polls = 2
    pushed = push(platform, device("a"))
    assert [task(platform, pushed)["status"] for _ in range(4)] == ["PENDING", "RUNNING", "FINISHED", "FINISHED"]


def test_a_task_runs_for_the_seconds_that_are_set(platform):
    platform.task_seconds = 30
    pushed = push(platform, device("a"))
    assert [task(platform, pushed)["status"] for _ in range(3)] == ["PENDING", "RUNNING", "RUNNING"]


def test_a_failed_task_means_that_nothing_arrived(platform):
    platform.fail_tasks(1, error="The index is full")
    failed, good = push(platform, device("a")), push(platform, device("b"))
    assert task(platform, failed) == {
        "uuid": failed.json()["task_id"],
        "status": "FAILED",
        "error": "The index is full",
    }
    assert task(platform, good)["status"] == "FINISHED"
    assert set(platform.devices) == {"b"}
    assert [p.ingested for p in platform.pushes] == [False, True]


def test_a_task_can_stay_pending_for_ever(platform):
    platform.hang_tasks()
    pushed = push(platform, device("a"))
    assert {task(platform, pushed)["status"] for _ in range(5)} == {"PENDING"}
    assert platform.devices == {}


def test_an_unknown_task_is_not_found(platform):
    assert call(platform, "GET", f"/api/v1/tasks/{uuid.uuid4()}", token=platform.api_key).status_code == 404


def test_a_batch_can_be_refused_and_an_answer_be_lost(platform):
    platform.fault(Status(503), match="push")
    platform.fault(Status(502), match="push", after=True)
    assert push(platform, device("a")).status_code == 503
    assert platform.devices == {}
    assert push(platform, device("a")).status_code == 502
    assert platform.deliveries == {"a": 1}


def test_a_hook_sees_each_batch_before_its_answer(platform):
    seen = []
    platform.on_push = lambda items: seen.append([item["device"]["uid"] for item in items])
    push(platform, device("a"), device("b"))
    assert seen == [["a", "b"]]


def test_each_event_that_arrives_is_a_line_of_the_file(tmp_path: Path):
    out = tmp_path / "deep" / "sent.jsonl"
    with LocalPlatform(out=out) as platform:
        with ThreadPoolExecutor(8) as senders:
            list(senders.map(lambda n: push(platform, *(device(f"{n}-{m}") for m in range(20))), range(10)))
        requests.post(
            f"{platform.url}/intake/batch",
            json={"intake_key": platform.intake_key, "jsons": ['{"a": 1}', '{\n"b": 2}', "text\nof two lines"]},
            timeout=60,
        )
        lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["device"]["uid"] for line in lines[:200]} == set(platform.devices)
    assert lines[200:] == [{"a": 1}, {"b": 2}, "text\nof two lines"]


def test_a_huge_run_keeps_identities_and_counts_only():
    with LocalPlatform(keep=False) as platform:
        push(platform, device("a"), device("b"))
        assert platform.devices == {"a": {}, "b": {}}
        assert platform.deliveries == {"a": 1, "b": 1}


def test_a_measuring_run_may_leave_the_items_unread():
    with LocalPlatform(strict=False) as platform:
        assert push(platform, {"device": {"uid": "a"}}).status_code == 200
        assert push(platform, {"device": {}}).status_code == 400
        assert push(platform, "not an object").status_code == 400
        assert set(platform.devices) == {"a"}


def test_the_environment_is_what_the_sdk_reads(platform, tmp_path, monkeypatch):
    """Asked of the SDK itself, so that a renamed variable is found here."""
    from sekoia_automation.configuration.filesystem import FileSystemConfiguration
    from sekoia_automation.storage import get_data_path

    for name, value in platform.environment(
        {"a": 1}, {"b": 2}, CONNECTOR, tmp_path, liveness_port=18000, metrics_port=18020
    ).items():
        monkeypatch.setenv(name, value)
    load = FileSystemConfiguration().load
    assert load("module_configuration", "json") == {"a": 1}
    assert load("connector_configuration", "json") == {"b": 2}
    assert load("connector_configuration_uuid") == CONNECTOR
    assert call(platform, "GET", load("url_secrets").removeprefix(platform.url), token=load("token")).ok
    assert call(platform, "POST", load("url_logs").removeprefix(platform.url), {"logs": []}).ok
    assert (load("liveness_port"), load("metrics_port")) == ("18000", "18020")
    assert get_data_path.__wrapped__(FileSystemConfiguration()) == tmp_path


def test_each_start_has_credentials_of_its_own() -> None:
    """They were constants: any process of this machine could read a customer's API token from `sekoia-lab run`."""

    def credentials(made: LocalPlatform) -> set[str]:
        return {made.token, made.api_key, made.intake_key}

    one, other = credentials(LocalPlatform()), credentials(LocalPlatform())
    assert len(one | other) == 6
    assert all(len(secret) > 32 for secret in one | other)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1.evil.example:{port}", ""]
)
def test_a_call_for_another_host_is_turned_away(platform, host: str) -> None:
    """A page in a browser can have any name resolve to this machine."""
    port = platform.url.rpartition(":")[2]
    headers = {"Authorization": f"Bearer {platform.token}", "Host": host.format(port=port)}
    reply = requests.get(f"{platform.url}/api/v1/secrets/any", headers=headers, timeout=60)
    assert reply.status_code in (400, 421)
    assert "s3cret" not in reply.text
    assert requests.get(
        f"http://localhost:{port}/api/v1/secrets/any", headers=headers | {"Host": f"localhost:{port}"}, timeout=60
    ).ok


def test_the_file_of_events_is_its_owners_only_and_no_link_is_followed(tmp_path: Path) -> None:
    out, elsewhere, link = tmp_path / "new" / "sent.jsonl", tmp_path / "elsewhere", tmp_path / "link"
    with LocalPlatform(out=out) as platform:
        assert push(platform, device("a")).ok
    assert [path.stat().st_mode & 0o777 for path in (out, out.parent)] == [0o600, 0o700]
    elsewhere.write_text("")
    link.symlink_to(elsewhere)
    with LocalPlatform(out=link) as platform:
        assert push(platform, device("a")).status_code == 500
    assert elsewhere.read_text() == ""
