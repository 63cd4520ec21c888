"""State where the platform keeps it: an object storage behind the SDK's S3 path, here moto's server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.server import ThreadedMotoServer
from s3path import S3Path
from sekoia_automation import storage

from lab.modules import MODULES, LabModule
from lab.platform import LocalPlatform
from shared.errors import TryAgain
from tests.rig import Rig, signal_handlers_kept

BUCKET = "connector-state"
NAME_FIELD = {"HarfangLab": "hostname", "SentinelOne": "computerName", "ESET": "displayName", "Sophos": "hostname"}


class Storage:
    """An S3 service with one bucket."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
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
        self._client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})

    def read(self, name: str) -> bytes:
        return self._client.get_object(Bucket=BUCKET, Key=f"connector-1/{name}")["Body"].read()

    def write(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket=BUCKET, Key=f"connector-1/{name}", Body=content)

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket=BUCKET, Key=f"connector-1/{name}")

    def names(self) -> list[str]:
        found = self._client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        return [entry["Key"].removeprefix("connector-1/") for entry in found]

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture(scope="module")
def service() -> Iterator[Storage]:
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


@pytest.fixture(params=[name for name in NAME_FIELD if name in MODULES])
def rig(
    request: pytest.FixtureRequest, bucket: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    module: LabModule = MODULES[request.param]
    with signal_handlers_kept(), module.simulated(35) as console, LocalPlatform() as platform:
        rig = Rig(module, console, platform, tmp_path, monkeypatch)
        rig.environment = bucket.environment
        yield rig


def test_state_survives_in_the_object_storage_as_the_platform_configures_it(rig: Rig, bucket: Storage) -> None:
    for _ in range(2):
        with rig.process() as process:
            health = process.wait_for_rounds(1)
        assert health["last_error"] is None
    assert set(rig.platform.deliveries.values()) == {1}
    assert health["round"]["unchanged"] == health["round"]["read"]
    assert {"context.json", "fingerprints.bin", "asset_schema_fields.json"} <= set(bucket.names())


@pytest.mark.parametrize("writes", [0, 1, 2])
def test_an_object_storage_that_goes_away_in_mid_round_loses_nothing(
    rig: Rig, writes: int, monkeypatch: pytest.MonkeyPatch
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
    assert len(rig.platform.devices) == 35
    pushes = len(rig.platform.pushes)
    rig.cycle()
    assert len(rig.platform.pushes) == pushes


def test_an_object_storage_that_cannot_be_read_is_not_an_empty_one(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert set(rig.platform.deliveries.values()) == {1}


def test_a_stale_second_writer_is_found_out(rig: Rig) -> None:
    """Two containers over one storage undid what the other remembered, without a word."""
    first, second = rig.start(), rig.start()
    first.cycle()
    second.cycle()
    _change_all(rig)
    first._recall()
    second._recall()
    second.reset_checkpoint()
    with pytest.raises(TryAgain, match="Only one connector may use this storage"):
        first.update_checkpoint()
    first.cycle()
    _change_all(rig)
    second.cycle()
    assert len(rig.platform.devices) == 35


def test_a_damaged_object_is_said_and_followed_by_a_full_walk(
    rig: Rig, bucket: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    rig.cycle()
    bucket.write("context.json", b'{"cursor": "20')
    bucket.write("fingerprints.bin", bucket.read("fingerprints.bin")[:-5])
    connector = rig.cycle()
    assert connector.counts.read == 35
    assert any("damaged" in record.message for record in caplog.records)
    assert json.loads(bucket.read("context.json"))


def _change_all(rig: Rig) -> None:
    for identity in rig.console.ids:
        rig.console.change(identity, **{NAME_FIELD[rig.module.name]: f"renamed-{time.monotonic_ns()}"})
