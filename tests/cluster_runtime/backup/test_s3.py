"""A bucket behind the S3 protocol, and keys in a KMS: what works, and how failures are told."""

import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto import settings as moto_settings
from moto.core.responses import ActionAuthenticatorMixin

from cluster_runtime import Runtime
from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.keeping.archive import Archive
from cluster_runtime.backup.vault import bucket as buckets
from cluster_runtime.backup.vault.bucket import Bucket, ObjectMissingError
from cluster_runtime.backup.vault.keys import KmsKey, LocalKey
from cluster_runtime.errors import (
    BackupKeyError,
    BackupStoreRefusedError,
    BackupStoreUnavailableError,
    InvalidParameterError,
)
from tests.waiting import wait_until

RESOURCE = "cluster-AAAAAAAAAAAAAAAAAAAAAAAAAA"


def test_objects_are_kept_listed_and_removed(s3_location: str) -> None:
    bucket = Bucket(s3_location)
    names = [f"clusters/a/{number:04d}" for number in range(120)]
    for name in names:
        bucket.put(name, name.encode())
    bucket.put("clusters/b/key", bytes(3 << 20))
    assert bucket.get(names[7]) == names[7].encode()
    assert bucket.names("clusters/a") == [name.rpartition("/")[2] for name in names]
    assert bucket.folders("clusters") == ["a", "b"]
    bucket.delete([*names, "clusters/a/never"])
    assert bucket.names("clusters/a") == []
    with pytest.raises(ObjectMissingError):
        bucket.get(names[0])


def test_a_place_is_probed_before_it_is_used(s3_location: str, tmp_path: Path) -> None:
    archive = Archive(s3_location, LocalKey.of(tmp_path))
    archive.probe()
    assert archive.bucket.names("probe") == []


def test_a_bucket_that_is_not_there_is_told(moto_endpoint: str, aws: None) -> None:
    with pytest.raises(BackupStoreRefusedError, match="there is no bucket at s3://nowhere"):
        Bucket(f"s3://nowhere?endpoint={moto_endpoint}").put("x", b"")


def test_a_store_that_does_not_answer_is_told(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "RETRIES", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(BackupStoreUnavailableError, match="cannot be reached"):
        Bucket(f"s3://away?endpoint=http://127.0.0.1:{port}").put("x", b"")


def test_credentials_that_are_missing_are_told(
    moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(BackupStoreRefusedError, match="credentials"):
        Bucket(f"s3://bucket?endpoint={moto_endpoint}").put("x", b"")


@pytest.mark.parametrize(
    "location", ["relative/path", "ftp://host/x", "s3://", "s3://bucket?colour=red", ""]
)
def test_a_location_that_is_none_is_refused(location: str) -> None:
    with pytest.raises(InvalidParameterError, match="is no place for backups"):
        Bucket(location)


def test_a_kms_opens_a_backup_without_any_file(
    s3_location: str, moto_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", moto_endpoint)
    made = boto3.client("kms", endpoint_url=moto_endpoint).create_key()["KeyMetadata"]
    archive = Archive(s3_location, LocalKey.of(tmp_path), made["Arn"])
    vault = archive.vault_for(RESOURCE)
    elsewhere = Archive(s3_location, None)
    assert elsewhere.vault(RESOURCE).key == vault.key
    stranger = KmsKey(
        boto3.client("kms", endpoint_url=moto_endpoint).create_key()["KeyMetadata"]["Arn"]
    )
    with pytest.raises(BackupKeyError, match="cannot be used"):
        stranger.unwrap(KmsKey(made["Arn"]).wrap(bytes(32), RESOURCE), "cluster-other")


def test_a_cluster_is_backed_up_to_s3_and_comes_back_with_a_kms_key_alone(
    s3_location: str, moto_endpoint: str, engine_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", moto_endpoint)
    monkeypatch.setattr(pacing, "FIRST_AFTER_S", 0.0)
    key = boto3.client("kms", endpoint_url=moto_endpoint).create_key()["KeyMetadata"]["Arn"]
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        with pytest.raises(BackupStoreRefusedError):
            runtime.modify_backup_store(f"s3://nowhere?endpoint={moto_endpoint}")
        store = runtime.modify_backup_store(s3_location, kms_key_id=key)
        assert (store.kms_key_id, store.key_file) == (key, "")
        cluster = runtime.create_db_cluster("notes")
        with cluster.connect() as conn:
            conn.execute("create table t as select 7 as v")
        wait_until(lambda: cluster.describe().latest_restorable_time)
        runtime.create_db_cluster_snapshot("kept", "notes")
    shutil.rmtree(engine_dir / "state")
    with Runtime.open(engine_dir / "elsewhere", warm_pool_size=0) as other:
        back = other.restore_db_cluster_to_point_in_time(
            "back", "notes", use_latest_restorable_time=True, backup_location=s3_location
        )
        with back.connect() as conn:
            assert conn.execute("select v from t").fetchone() == (7,)


@contextmanager
def refusing_strangers() -> Iterator[None]:
    """Have moto look who asks, as AWS does: whose key it does not know is refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(moto_settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        patch.setattr(ActionAuthenticatorMixin, "request_count", 0)
        yield


def test_credentials_that_are_wrong_are_told_at_once_and_later_as_an_event_without_a_secret(
    moto_endpoint: str, aws: None, engine_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "FIRST_AFTER_S", 0.0)
    monkeypatch.setattr(pacing, "RETRY_FIRST_S", 0.05)
    boto3.client("s3", endpoint_url=moto_endpoint).create_bucket(Bucket="of-a-user")
    iam = boto3.client("iam", endpoint_url=moto_endpoint)
    iam.create_user(UserName="keeper")
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_user_policy(UserName="keeper", PolicyName="all", PolicyDocument=policy)
    key = iam.create_access_key(UserName="keeper")["AccessKey"]
    key_id, secret = key["AccessKeyId"], key["SecretAccessKey"]
    location = f"s3://of-a-user/borealis?endpoint={moto_endpoint}"
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("notes")
        before = runtime.describe_backup_store()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key_id)
        wrong = f"{secret[:-4]}{secret[:-5:-1].swapcase()}"
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wrong)
        with refusing_strangers():
            with pytest.raises(BackupStoreRefusedError, match="not to be had with the") as told:
                runtime.modify_backup_store(location)
            assert runtime.describe_backup_store() == before
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
            runtime.modify_backup_store(location)
            wait_until(lambda: cluster.describe().latest_restorable_time)
        iam.delete_access_key(UserName="keeper", AccessKeyId=key_id)
        with refusing_strangers():
            with cluster.connect() as conn:
                conn.execute("create table t as select 7 as v")

            def events() -> list[str]:
                found = [each.message for each in runtime.describe_events("notes")]
                return [each for each in found if "does not get on" in each]

            (event,) = wait_until(events)
            with cluster.connect() as conn:  # commits go on
                conn.execute("insert into t values (8)")
    assert "is not to be had with the credentials that there are" in event
    for text in (str(told.value), event):
        assert "of-a-user/borealis" in text
        assert "give this host others" in text
        for hidden in (secret, wrong, "StringToSign", "<?xml", key_id):
            assert hidden not in text
