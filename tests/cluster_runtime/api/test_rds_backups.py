"""Snapshots, restores and automated backups through boto3, as RDS has them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cluster_runtime import RdsControlPlane
from cluster_runtime.backup.core import pacing
from tests.cluster_runtime.api.conftest import Endpoint
from tests.waiting import wait_until

ENGINE = "aurora-postgresql"


@pytest.fixture(autouse=True, scope="module")
def at_once() -> Iterator[None]:
    """Clusters are backed up from their first second on, and not only once they may stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "FIRST_AFTER_S", 0.0)
        yield


@pytest.fixture(scope="module")
def source(endpoint: Endpoint, rds: Any) -> str:
    rds.create_db_cluster(
        DBClusterIdentifier="source",
        Engine=ENGINE,
        WithExpressConfiguration=True,
        BackupRetentionPeriod=7,
    )
    with endpoint.runtime.cluster("source").connect() as conn:
        conn.execute("create table t as select 5 as v")
    return "source"


def test_a_snapshot_is_made_waited_for_copied_restored_and_deleted(
    endpoint: Endpoint, rds: Any, source: str
) -> None:
    made = rds.create_db_cluster_snapshot(
        DBClusterSnapshotIdentifier="first",
        DBClusterIdentifier=source,
        Tags=[{"Key": "why", "Value": "test"}],
    )["DBClusterSnapshot"]
    assert made["StorageEncrypted"] is True
    rds.get_waiter("db_cluster_snapshot_available").wait(DBClusterSnapshotIdentifier="first")
    rds.copy_db_cluster_snapshot(
        SourceDBClusterSnapshotIdentifier=made["DBClusterSnapshotArn"],
        TargetDBClusterSnapshotIdentifier="second",
        CopyTags=True,
    )
    found = rds.describe_db_cluster_snapshots(DBClusterIdentifier=source)["DBClusterSnapshots"]
    assert [each["DBClusterSnapshotIdentifier"] for each in found] == ["first", "second"]
    assert found[1]["TagList"] == [{"Key": "why", "Value": "test"}]
    assert found[1]["SourceDBClusterSnapshotArn"] == made["DBClusterSnapshotArn"]
    restored = rds.restore_db_cluster_from_snapshot(
        DBClusterIdentifier="restored", SnapshotIdentifier="second", Engine=ENGINE
    )["DBCluster"]
    assert restored["DBClusterMembers"] == []
    assert restored["BackupRetentionPeriod"] == 7
    rds.create_db_instance(
        DBInstanceIdentifier="restored-writer",
        DBClusterIdentifier="restored",
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
    )
    with endpoint.runtime.cluster("restored").connect() as conn:
        assert conn.execute("select v from t").fetchone() == (5,)
    for name in ("first", "second"):
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)
    with pytest.raises(rds.exceptions.DBClusterSnapshotNotFoundFault):
        rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="first")


def test_a_deleted_cluster_is_restored_by_its_resource_id(
    endpoint: Endpoint, rds: Any, source: str
) -> None:
    endpoint.runtime.restore_db_cluster_to_point_in_time(
        "brief", source, use_latest_restorable_time=True
    )
    endpoint.runtime.create_db_cluster_snapshot("of-brief", "brief")
    wait_until(lambda: endpoint.runtime.cluster("brief").describe().latest_restorable_time)
    (facts,) = rds.describe_db_clusters(DBClusterIdentifier="brief")["DBClusters"]
    rds.delete_db_instance(DBInstanceIdentifier="brief-instance-1", SkipFinalSnapshot=True)
    with pytest.raises(rds.exceptions.ClientError, match="FinalDBSnapshotIdentifier"):
        rds.delete_db_cluster(
            DBClusterIdentifier="brief",
            SkipFinalSnapshot=True,
            FinalDBSnapshotIdentifier="no",
        )
    rds.delete_db_cluster(
        DBClusterIdentifier="brief",
        FinalDBSnapshotIdentifier="brief-final",
        DeleteAutomatedBackups=False,
    )
    resource_id = facts["DbClusterResourceId"]

    def window() -> Any:  # it begins with the first image and ends a second ago
        (kept,) = rds.describe_db_cluster_automated_backups(DbClusterResourceId=resource_id)[
            "DBClusterAutomatedBackups"
        ]
        assert kept["Status"] == "retained"
        return kept.get("RestoreWindow")

    assert wait_until(window)["LatestTime"] <= datetime.now(UTC)
    made = rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="back",
        SourceDbClusterResourceId=resource_id,
        UseLatestRestorableTime=True,
    )["DBCluster"]
    assert made["Status"] == "available"
    rds.delete_db_cluster_automated_backup(DbClusterResourceId=resource_id)
    for name in ("of-brief", "brief-final"):
        rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=name)


def test_the_same_control_plane_works_over_the_endpoint(endpoint: Endpoint, source: str) -> None:
    plane = RdsControlPlane(endpoint.state_dir, rds_api=True)
    made = plane.create_db_cluster_snapshot("over-the-wire", source)
    assert (made.status, made.db_cluster_identifier) == ("available", source)
    back = plane.restore_db_cluster_from_snapshot("wired", "over-the-wire")
    assert back.describe().has_writer
    plane.delete_db_cluster("wired", final_db_snapshot_identifier="wired-final")
    names = {each.db_cluster_snapshot_identifier for each in plane.describe_db_cluster_snapshots()}
    assert {"over-the-wire", "wired-final"} <= names
