"""State where the platform keeps it: an object storage behind the SDK's S3 path, here moto's server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.server import ThreadedMotoServer
from s3path import S3Path
from sekoia_automation import storage

from lab.kinds import ALERTS, DEVICES
from lab.modules import MODULES
from lab.platform.faults import Status
from lab.platform.local import LocalPlatform
from shared.errors import TryAgain
from tests.conformance_base import ConnectorConformance
from tests.faults.matrix import INTAKE_LIMIT
from tests.rig import Rig, impatient, signal_handlers_kept
from tests.suites import CHANGES, OF_ALERTS, OF_DEVICES, SUITES, slow_but_for

BUCKET = "connector-state"


class Storage:
    """An S3 service with one bucket, on this port or on any; all of them in one process hold the same objects."""

    def __init__(self, port: int = 0) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.environment = {
            "FILE_BACKEND": "S3",
            "SUB_FOLDER": "connector-1",
            "AWS_BUCKET_NAME": BUCKET,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local-storage-secret",
            "AWS_DEFAULT_REGION": "eu-west-3",
            "AWS_S3_ENDPOINT_URL": self.url,
            "AWS_MAX_ATTEMPTS": "1",
        }
        self._client = boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-3"
        )
        with suppress(self._client.exceptions.BucketAlreadyOwnedByYou):
            self._client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})

    def read(self, name: str) -> bytes:
        return self._client.get_object(Bucket=BUCKET, Key=f"connector-1/{name}")["Body"].read()

    def write(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=f"connector-1/{name}", Body=content)

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=f"connector-1/{name}")

    def damage(self, name: str) -> None:
        self.write(name, self.read(name)[:-5])

    def names(self) -> list[str]:
        found = self._client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [entry["Key"].removeprefix("connector-1/") for entry in found]

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture(scope="session")
def service() -> Iterator[Storage]:
    """One a process: what moto stores is kept when its server stops."""
    service = Storage()
    yield service
    service.stop()


@pytest.fixture
def bucket(service: Storage, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Empty, and configured in this process as the platform does it."""
    for name in service.names():
        service.delete(name)
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    storage.get_data_path.cache_clear()
    storage.get_s3_data_path.cache_clear()
    return service


@pytest.fixture(params=slow_but_for(SUITES, OF_DEVICES, OF_ALERTS))
def suite(request: pytest.FixtureRequest) -> ConnectorConformance:
    return SUITES[request.param]()


@pytest.fixture
def rig(suite: ConnectorConformance, bucket: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    with signal_handlers_kept(), suite.lab_module.simulated(35) as console, LocalPlatform() as platform:
        rig = suite.rigged(console, platform, tmp_path / "unused", monkeypatch)
        rig.environment = bucket.environment
        yield rig


def test_state_survives_in_the_object_storage_as_the_platform_configures_it(
    suite: ConnectorConformance, rig: Rig, bucket: Storage
) -> None:
    """Two processes: the SDK finds the storage by the environment, once in each."""
    for _ in range(2):
        with rig.process() as process:
            health = process.wait_for_rounds(1)
        assert health["last_error"] is None
        assert health["round"]["unchanged"] + health["round"]["sent"] == health["round"]["read"]
    suite.assert_all_delivered(rig)
    assert set(suite.deliveries(rig).values()) == {1}
    assert health["round"]["sent"] == 0
    assert suite.state_files <= set(bucket.names())


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 4])
def test_an_object_storage_that_goes_away_in_mid_round_loses_nothing(
    suite: ConnectorConformance, rig: Rig, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = rig.start()
    upload = S3Path.write_bytes
    done = iter(range(writes))

    def fail(path: S3Path, content: bytes) -> int:
        if next(done, None) is None:
            raise EndpointConnectionError(endpoint_url="the storage")
        return upload(path, content)

    with monkeypatch.context() as away, pytest.raises(TryAgain, match=r"cannot write its state.*Check the storage"):
        away.setattr(S3Path, "write_bytes", fail)
        connector.cycle()
    connector.cycle()
    suite.assert_all_delivered(rig)
    sent = suite.deliveries(rig)
    rig.cycle()
    assert suite.deliveries(rig) == sent


@pytest.mark.parametrize("suite", [OF_DEVICES], indirect=True)
def test_the_changes_that_a_trigger_reports_are_not_an_upload_each(
    suite: ConnectorConformance, bucket: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 of them were 10,000 uploads of the complete state."""
    uploads: list[S3Path] = []
    upload = S3Path.write_bytes

    def counted(path: S3Path, content: bytes) -> int:
        uploads.append(path)
        return upload(path, content)

    with signal_handlers_kept(), suite.lab_module.simulated(35) as console, LocalPlatform() as platform:
        rig = CHANGES[f"{OF_DEVICES} changes"]().rigged(console, platform, tmp_path / "unused", monkeypatch)
        rig.environment = bucket.environment
        monkeypatch.setattr(S3Path, "write_bytes", counted)
        rig.cycle()
        assert len(platform.playbook_runs) == 35
    assert len(uploads) < 20, f"{len(uploads)} uploads for 35 changes, of which two are enough in five seconds"


def test_an_object_storage_that_cannot_be_read_is_not_an_empty_one(
    suite: ConnectorConformance, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage at the start of a round was taken for "nothing stored", and the position overwritten."""
    connector = rig.cycle()
    calls = len(rig.console.calls)

    def fail(_path: S3Path) -> bool:
        raise EndpointConnectionError(endpoint_url="the storage")

    with monkeypatch.context() as away, pytest.raises(TryAgain, match="cannot read its state"):
        away.setattr(S3Path, "exists", fail)
        connector.cycle()
    assert len(rig.console.calls) == calls
    connector.cycle()
    assert set(suite.deliveries(rig).values()) == {1}


def test_a_stale_second_writer_is_found_out(suite: ConnectorConformance, rig: Rig) -> None:
    """Two containers over one storage undid what the other remembered, without a word."""
    suite.deliver_all(rig)
    suite.change_all(rig)
    time.sleep(1.05)
    impatient(rig, read=60.0)  # the first waits for the whole of the second's round, however slow the machine is
    first, second = rig.start(full_sync_interval=1), rig.start(full_sync_interval=1)
    with pytest.raises(TryAgain, match="Only one connector may use this storage"):
        rig.overtake(first, second)
    first.cycle()
    suite.assert_all_delivered(rig)


def test_a_damaged_object_is_logged_and_costs_at_most_duplicates(
    suite: ConnectorConformance, rig: Rig, bucket: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    rig.cycle()
    for name in suite.state_files:
        bucket.damage(name)
    rig.cycle()
    assert any("damaged" in record.message for record in caplog.records)
    assert set(suite.deliveries(rig).values()) <= {1, 2}
    suite.assert_all_delivered(rig)
    assert json.loads(bucket.read("context.json"))


@pytest.mark.parametrize("suite", [name for name, module in MODULES.items() if module.kind is DEVICES], indirect=True)
def test_a_damaged_position_of_devices_is_followed_by_a_full_walk(rig: Rig, bucket: Storage) -> None:
    rig.cycle()
    bucket.damage("context.json")
    assert rig.cycle().counts.read == 35


@pytest.mark.parametrize(
    ("damaged", "says"),
    [
        (["context.json"], "its copy from before is used"),
        (["context.json", "context.json.bak"], "the collection begins again at hours_ago"),
    ],
    ids=["the newest", "both copies"],
)
@pytest.mark.parametrize("suite", [name for name, module in MODULES.items() if module.kind is ALERTS], indirect=True)
def test_a_damaged_position_of_events_is_logged_and_the_last_good_one_used(
    suite: ConnectorConformance,
    rig: Rig,
    bucket: Storage,
    damaged: list[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The copy lacks the one batch that was accepted last; without a copy all of `hours_ago` is sent again."""
    suite.deliver_all(rig)
    suite.change_all(rig)
    monkeypatch.setattr("shared.alerts.intake.Intake.limit", INTAKE_LIMIT)
    rig.platform.fault(Status(503), match="intake", skip=2, times=None)
    with pytest.raises(TryAgain):
        rig.cycle()
    rig.platform.clear_faults()
    accepted = len(rig.platform.alerts)
    for name in damaged:
        bucket.damage(name)
    rig.cycle()
    assert any(says in record.message for record in caplog.records)
    suite.assert_all_delivered(rig)
    again, of_two_batches = suite.deliveries(rig).total() - 2 * 35, accepted - 35
    assert again == of_two_batches if "context.json.bak" in damaged else 0 < again < of_two_batches
