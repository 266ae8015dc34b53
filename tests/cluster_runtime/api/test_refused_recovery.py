"""What cannot be had, through boto3: each with the code that botocore's model names."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime.backup.core import pacing
from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.workflows.instances import lifecycle
from tests.cluster_runtime.api.conftest import Endpoint, Refused
from tests.waiting import wait_until

ENGINE = "aurora-postgresql"
CLONE = {"RestoreType": "copy-on-write", "UseLatestRestorableTime": True}


@pytest.fixture(autouse=True, scope="module")
def at_once() -> Iterator[None]:
    """Clusters are backed up from their first second on, and not only once they may stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "FIRST_AFTER_S", 0.0)
        yield


@pytest.fixture(scope="module")
def source(endpoint: Endpoint, rds: Any) -> str:
    rds.create_db_cluster(
        DBClusterIdentifier="source", Engine=ENGINE, WithExpressConfiguration=True
    )
    rds.create_db_instance(
        DBInstanceIdentifier="source-r",
        DBClusterIdentifier="source",
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
    )
    wait_until(lambda: endpoint.runtime.cluster("source").describe().earliest_restorable_time)
    return "source"


@pytest.fixture
def nothing_is_made(endpoint: Endpoint, source: str) -> Iterator[None]:
    """Whatever was refused has left neither a cluster, an instance nor a directory."""

    def found() -> tuple[list[str], list[str], list[str]]:
        home = endpoint.runtime._home.service._runtime.home  # type: ignore[attr-defined]
        return (
            [each.db_cluster_identifier for each in endpoint.runtime.describe_db_clusters()],
            [each.db_instance_identifier for each in endpoint.runtime.describe_db_instances()],
            sorted(path.name for where in (home.clusters, home.bases) for path in where.iterdir()),
        )

    before = found()
    yield
    assert found() == before


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize("off", [timedelta(days=-40), timedelta(hours=1)], ids=["before", "after"])
def test_a_time_out_of_the_window(rds: Any, source: str, refused: Refused, off: timedelta) -> None:
    assert refused(
        rds.restore_db_cluster_to_point_in_time,
        DBClusterIdentifier="made",
        SourceDBClusterIdentifier=source,
        RestoreToTime=datetime.now(UTC) + off,
    ) == ("InvalidRestoreFault", 400)


@pytest.mark.usefixtures("nothing_is_made")
def test_one_reader_more_than_a_cluster_may_have(
    rds: Any,
    source: str,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lifecycle, "READERS_MAX", 1)
    assert refused(
        rds.create_db_instance,
        DBInstanceIdentifier="source-r2",
        DBClusterIdentifier=source,
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
    ) == ("InstanceQuotaExceeded", 400)


@pytest.mark.usefixtures("nothing_is_made")
def test_a_failover_to_a_reader_that_is_not_well(
    endpoint: Endpoint, rds: Any, source: str, refused: Refused
) -> None:
    (reader,) = [
        each for each in endpoint.runtime.cluster(source).instances if not each.is_cluster_writer
    ]
    zone = reader.availability_zone[-1]
    endpoint.runtime.inject_fault(source, f"az:{zone}", "crash")
    try:
        said = refused(
            rds.failover_db_cluster,
            DBClusterIdentifier=source,
            TargetDBInstanceIdentifier=reader.db_instance_identifier,
        )
        assert said == ("InvalidDBInstanceState", 400)
        (writer,) = [
            each for each in endpoint.runtime.cluster(source).instances if each.is_cluster_writer
        ]
        assert writer.db_instance_identifier == "source-instance-1"
    finally:
        endpoint.runtime.heal_fault(source)
    wait_until(
        lambda: all(
            each.db_instance_status.value == "available"
            for each in endpoint.runtime.cluster(source).instances
        )
    )


def test_a_clone_of_a_cluster_that_is_being_deleted(
    endpoint: Endpoint, rds: Any, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = endpoint.runtime
    runtime.create_db_cluster("going")
    held, go_on = threading.Event(), threading.Event()
    remove = OpenRuntime.remove

    async def waiting(self: OpenRuntime, cluster: HostedCluster) -> None:
        import asyncio

        held.set()
        await asyncio.to_thread(go_on.wait)
        await remove(self, cluster)

    monkeypatch.setattr(OpenRuntime, "remove", waiting)
    deleting = threading.Thread(target=runtime.delete_db_cluster, args=("going",))
    deleting.start()
    try:
        assert held.wait(60)
        for name, members in (
            ("restore_db_cluster_to_point_in_time", CLONE),
            ("create_db_cluster_snapshot", {"DBClusterSnapshotIdentifier": "made"}),
        ):
            given = (
                {"DBClusterIdentifier": "made", "SourceDBClusterIdentifier": "going", **members}
                if members is CLONE
                else {"DBClusterIdentifier": "going", **members}
            )
            assert refused(getattr(rds, name), **given) == ("InvalidDBClusterStateFault", 400)
    finally:
        go_on.set()
        deleting.join()
    names = [each.db_cluster_identifier for each in runtime.describe_db_clusters()]
    assert not {"going", "made"} & set(names)
    assert runtime.describe_db_cluster_snapshots() == []


@pytest.mark.usefixtures("nothing_is_made")
@pytest.mark.parametrize("harm", [lambda whole: whole[:-1], None], ids=["cut short", "removed"])
def test_a_damaged_backup(
    endpoint: Endpoint,
    rds: Any,
    source: str,
    refused: Refused,
    harm: Callable[[bytes], bytes] | None,
) -> None:
    runtime = endpoint.runtime
    runtime.create_db_cluster_snapshot("harmed", source)
    bucket = Path(runtime.describe_backup_store().location)
    (path, *_) = sorted((bucket / "clusters" / runtime.cluster(source).id).glob("*/packs/*"))
    whole = path.read_bytes()
    if harm is None:
        path.unlink()
    else:
        path.write_bytes(harm(whole))
    try:
        with pytest.raises(rds.exceptions.ClientError) as told:
            rds.restore_db_cluster_from_snapshot(
                DBClusterIdentifier="made", SnapshotIdentifier="harmed", Engine=ENGINE
            )
    finally:
        path.write_bytes(whole)
        runtime.delete_db_cluster_snapshot("harmed")
    assert told.value.response["Error"]["Code"] == "InvalidRestoreFault"
    assert str(path) in told.value.response["Error"]["Message"]
