"""RDS's operations through boto3, whose answers hold nothing that the model does not say."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from cluster_runtime.api.services.rds import rds_operations
from cluster_runtime.errors import ClusterClosedError
from tests.cluster_runtime.api.conftest import REGION, Endpoint, Refused
from tests.cluster_runtime.conftest import connect_with_password
from tests.waiting import wait_until

ENGINE = "aurora-postgresql"


def deleted(rds: Any, identifier: str) -> None:
    """Delete a cluster as RDS has it: its instances first."""
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"]
    for each in cluster["DBClusterMembers"]:
        rds.delete_db_instance(
            DBInstanceIdentifier=each["DBInstanceIdentifier"], SkipFinalSnapshot=True
        )
    rds.delete_db_cluster(DBClusterIdentifier=identifier, SkipFinalSnapshot=True)
    rds.get_waiter("db_cluster_deleted").wait(DBClusterIdentifier=identifier)


EXPRESS = {"Engine": ENGINE, "WithExpressConfiguration": True}


@pytest.fixture(scope="module")
def notes(endpoint: Endpoint, rds: Any) -> Any:
    """A cluster for tests that leave it as it is."""
    rds.create_db_cluster(DBClusterIdentifier="notes", Tags=[{"Key": "a", "Value": "1"}], **EXPRESS)
    return rds.describe_db_clusters(DBClusterIdentifier="notes")["DBClusters"][0]


def test_a_cluster_is_created_waited_for_and_deleted(endpoint: Endpoint, rds: Any) -> None:
    made = rds.create_db_cluster(DBClusterIdentifier="Brief", **EXPRESS)["DBCluster"]
    rds.get_waiter("db_cluster_available").wait(DBClusterIdentifier="brief")
    facts = endpoint.runtime.cluster("brief").describe()
    assert made["DBClusterIdentifier"] == "brief"
    assert made["DBClusterArn"] == facts.db_cluster_arn
    assert made["Endpoint"], made["Port"] == (facts.endpoint, facts.port)
    assert made["IAMDatabaseAuthenticationEnabled"] is True
    assert made["ServerlessV2ScalingConfiguration"] == {
        "MinCapacity": 0.0,
        "MaxCapacity": 16.0,
        "SecondsUntilAutoPause": 300,
    }
    deleted(rds, "brief")
    assert endpoint.strictly.count("CreateDBCluster") == 1


def test_what_is_described_is_what_the_runtime_says(
    endpoint: Endpoint, rds: Any, notes: Any
) -> None:
    facts = endpoint.runtime.cluster("notes").describe()
    assert notes["DbClusterResourceId"] == facts.db_cluster_resource_id
    assert notes["Status"] == "available"
    assert notes["EngineVersion"] == facts.engine_version
    assert notes["ReaderEndpoint"] == facts.reader_endpoint
    assert notes["ClusterCreateTime"] - facts.cluster_create_time < timedelta(milliseconds=1)
    assert [each["DBInstanceIdentifier"] for each in notes["DBClusterMembers"]] == [
        "notes-instance-1"
    ]
    by_arn = rds.describe_db_clusters(DBClusterIdentifier=facts.db_cluster_arn)
    assert by_arn["DBClusters"] == [notes]
    (instance,) = rds.describe_db_instances(DBInstanceIdentifier="notes-instance-1")["DBInstances"]
    (described,) = endpoint.runtime.describe_db_instances("notes-instance-1")
    assert instance["Endpoint"] == {"Address": described.endpoint, "Port": described.port}
    assert instance["DBInstanceClass"] == "db.serverless"
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="notes-instance-1")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("db-cluster-id", "notes", 1),
        ("db-cluster-id", "other", 0),
        ("engine", ENGINE, 1),
    ],
)
def test_filters(rds: Any, notes: Any, name: str, value: str, found: int) -> None:
    filters = [{"Name": name, "Values": [value]}]
    clusters = rds.describe_db_clusters(Filters=filters)["DBClusters"]
    assert [each["DBClusterIdentifier"] for each in clusters].count("notes") == found


def test_a_filter_that_there_is_not_is_refused(rds: Any, refused: Refused) -> None:
    filters = [{"Name": "colour", "Values": ["red"]}]
    assert refused(rds.describe_db_clusters, Filters=filters) == ("InvalidParameterValue", 400)
    assert refused(rds.describe_db_engine_versions, Filters=filters)[0] == "InvalidParameterValue"


def test_a_cluster_is_modified_stopped_started_and_failed_over(
    endpoint: Endpoint, rds: Any
) -> None:
    rds.create_db_cluster(DBClusterIdentifier="busy", **EXPRESS)
    changed = rds.modify_db_cluster(
        DBClusterIdentifier="busy",
        ServerlessV2ScalingConfiguration={"MaxCapacity": 4},
        DeletionProtection=True,
        ApplyImmediately=True,
    )["DBCluster"]
    assert changed["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 4.0
    assert changed["ServerlessV2ScalingConfiguration"]["SecondsUntilAutoPause"] == 300
    assert changed["DeletionProtection"] is True
    assert rds.stop_db_cluster(DBClusterIdentifier="busy")["DBCluster"]["Status"] == "stopped"
    (instance,) = rds.describe_db_instances(
        Filters=[{"Name": "db-cluster-id", "Values": ["busy"]}]
    )["DBInstances"]
    assert instance["DBInstanceStatus"] == "stopped"
    assert rds.start_db_cluster(DBClusterIdentifier="busy")["DBCluster"]["Status"] == "available"
    assert rds.failover_db_cluster(DBClusterIdentifier="busy")["DBCluster"]["Status"] == "available"
    with pytest.raises(ClientError, match=r"nothing to change .*: BacktrackWindow, .*StorageType"):
        rds.modify_db_cluster(DBClusterIdentifier="busy", ApplyImmediately=True)
    with pytest.raises(ClientError, match=r"nothing to change .*: DBInstanceClass, PromotionTier"):
        rds.modify_db_instance(DBInstanceIdentifier=instance["DBInstanceIdentifier"])
    same = rds.modify_db_cluster(DBClusterIdentifier="busy", CopyTagsToSnapshot=True)["DBCluster"]
    assert same["DBClusterIdentifier"] == "busy", "what has no effect on one machine is taken"
    rds.modify_db_cluster(
        DBClusterIdentifier="busy", NewDBClusterIdentifier="idle", DeletionProtection=False
    )
    deleted(rds, "idle")


def test_a_cluster_is_cloned_and_goes_back_as_rds_has_it(
    endpoint: Endpoint, rds: Any, refused: Refused
) -> None:
    rds.create_db_cluster(DBClusterIdentifier="origin", **EXPRESS)
    origin = endpoint.runtime.cluster("origin")
    with origin.connect() as conn:
        conn.execute("create table t as select 1 as x")
    made = rds.restore_db_cluster_to_point_in_time(
        DBClusterIdentifier="twig",
        SourceDBClusterIdentifier="origin",
        RestoreType="copy-on-write",
        UseLatestRestorableTime=True,
    )["DBCluster"]
    assert made["CloneGroupId"] == origin.id
    assert made["DBClusterMembers"] == []
    rds.create_db_instance(
        DBInstanceIdentifier="twig-writer",
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
        DBClusterIdentifier="twig",
    )
    with endpoint.runtime.cluster("twig").connect() as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    deleted(rds, "twig")

    wait_until(lambda: origin.describe().earliest_backtrack_time)
    ago = datetime.now(UTC) - timedelta(days=2)
    failing = refused(rds.backtrack_db_cluster, DBClusterIdentifier="origin", BacktrackTo=ago)
    assert failing == ("InvalidRestoreFault", 400)
    back = rds.backtrack_db_cluster(
        DBClusterIdentifier="origin",
        BacktrackTo=ago,
        UseEarliestTimeOnPointInTimeUnavailable=True,
    )
    assert (back["DBClusterIdentifier"], back["Status"]) == ("origin", "COMPLETED")
    assert back["BacktrackTo"] > ago
    deleted(rds, "origin")


def test_a_cluster_without_express_configuration_gets_its_writer_as_rds_has_it(
    endpoint: Endpoint, rds: Any, refused: Refused
) -> None:
    made = rds.create_db_cluster(
        DBClusterIdentifier="staged",
        Engine=ENGINE,
        MasterUsername="owner",
        MasterUserPassword="a-long-password",
        DatabaseName="app",
    )["DBCluster"]
    assert made["Status"] == "available"
    assert made["DBClusterMembers"] == []
    cluster = endpoint.runtime.cluster("staged")
    with pytest.raises(ClusterClosedError, match="has no instance; make one with create_db_inst"):
        cluster.dsn()
    failing = refused(rds.failover_db_cluster, DBClusterIdentifier="staged")
    assert failing == ("InvalidDBClusterStateFault", 400)

    instance = rds.create_db_instance(
        DBInstanceIdentifier="Writer",
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
        DBClusterIdentifier="staged",
    )["DBInstance"]
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="writer")
    assert instance["DBInstanceIdentifier"] == "writer"
    assert instance["Endpoint"]["Address"].startswith("writer.")
    with connect_with_password(cluster, "owner", "a-long-password", "app") as conn:
        conn.execute("create table t as select 1 as x")
    assert rds.reboot_db_instance(DBInstanceIdentifier="writer")["DBInstance"] == instance
    with connect_with_password(cluster, "owner", "a-long-password", "app") as conn:
        assert conn.execute("select x from t").fetchone() == (1,)

    gone = rds.delete_db_instance(DBInstanceIdentifier="writer", SkipFinalSnapshot=True)
    assert gone["DBInstance"]["DBInstanceStatus"] == "deleting"
    rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier="writer")
    assert not cluster.describe().paused
    rds.stop_db_cluster(DBClusterIdentifier="staged")
    rds.start_db_cluster(DBClusterIdentifier="staged")
    rds.create_db_instance(
        DBInstanceIdentifier="second",
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
        DBClusterIdentifier="staged",
    )
    with connect_with_password(cluster, "owner", "a-long-password", "app") as conn:
        assert conn.execute("select x from t").fetchone() == (1,), "the data stay"
    deleted(rds, "staged")


def test_a_token_that_boto3_signs_opens_a_connection(rds: Any, notes: Any) -> None:
    token = rds.generate_db_auth_token(notes["Endpoint"], notes["Port"], "postgres", REGION)
    with psycopg.connect(
        host=notes["Endpoint"],
        hostaddr="127.0.0.1",
        port=notes["Port"],
        user="postgres",
        password=token,
        dbname="postgres",
        sslmode="require",
    ) as conn:
        assert conn.execute("select 1").fetchone() == (1,)


NOTES_LOG = {"DBInstanceIdentifier": "notes-instance-1", "LogFileName": "/etc/passwd"}
NOTES_INSTANCE = {
    "DBInstanceClass": "db.serverless",
    "Engine": ENGINE,
    "DBClusterIdentifier": "notes",
}
CODES: list[tuple[str, dict[str, Any], str, int]] = [
    ("describe_db_clusters", {"DBClusterIdentifier": "no"}, "DBClusterNotFoundFault", 404),
    ("delete_db_cluster", {"DBClusterIdentifier": "no"}, "DBClusterNotFoundFault", 404),
    ("describe_db_instances", {"DBInstanceIdentifier": "no"}, "DBInstanceNotFound", 404),
    ("create_db_cluster", {**EXPRESS, "DBClusterIdentifier": "notes"},
     "DBClusterAlreadyExistsFault", 400),
    ("create_db_cluster", {**EXPRESS, "DBClusterIdentifier": "n", "Engine": "mysql"},
     "InvalidParameterValue", 400),
    ("create_db_cluster", {**EXPRESS, "DBClusterIdentifier": "-"}, "InvalidParameterValue", 400),
    ("create_db_cluster", {"DBClusterIdentifier": "n", "Engine": ENGINE},
     "InvalidParameterValue", 400),
    ("create_db_cluster", {**EXPRESS, "DBClusterIdentifier": "n", "KmsKeyId": "k"},
     "InvalidParameterCombination", 400),
    ("start_db_cluster", {"DBClusterIdentifier": "notes"}, "InvalidDBClusterStateFault", 400),
    ("download_db_log_file_portion", NOTES_LOG, "DBLogFileNotFoundFault", 404),
    ("list_tags_for_resource", {"ResourceName": "nothing"}, "InvalidParameterValue", 400),
    ("delete_db_cluster", {"DBClusterIdentifier": "notes"}, "InvalidDBClusterStateFault", 400),
    ("create_db_instance", {**NOTES_INSTANCE, "DBInstanceIdentifier": "notes-instance-1"},
     "DBInstanceAlreadyExists", 400),
    ("create_db_instance", {**NOTES_INSTANCE, "DBInstanceIdentifier": "notes-reader",
                            "DBInstanceClass": "db.huge"}, "InvalidParameterValue", 400),
    ("failover_db_cluster", {"DBClusterIdentifier": "notes",
                             "TargetDBInstanceIdentifier": "no"}, "InvalidDBInstanceState", 400),
    ("delete_db_cluster_endpoint", {"DBClusterEndpointIdentifier": "no"},
     "DBClusterEndpointNotFoundFault", 400),
    ("describe_db_proxies", {}, "NotImplemented", 501),
]  # fmt: skip


@pytest.mark.parametrize(("method", "members", "code", "status"), CODES)
def test_errors_have_rds_s_codes(
    rds: Any,
    notes: Any,
    refused: Refused,
    method: str,
    members: dict[str, Any],
    code: str,
    status: int,
) -> None:
    if method == "delete_db_cluster":
        members = {**members, "SkipFinalSnapshot": True}
    assert refused(getattr(rds, method), **members) == (code, status)


@pytest.mark.parametrize(
    ("method", "members", "code"),
    [
        (
            "create_db_cluster",
            {"DBClusterIdentifier": "odd", "Engine": ENGINE, "Tags": [{"Value": "x"}]},
            "MissingParameter",
        ),
        ("add_tags_to_resource", {"Tags": [{"Key": "a"}, {"Value": "b"}]}, "MissingParameter"),
        (
            "modify_db_cluster_parameter_group",
            {"DBClusterParameterGroupName": "odd", "Parameters": [{"ParameterValue": "1"}]},
            "MissingParameter",
        ),
        (
            "reset_db_cluster_parameter_group",
            {"DBClusterParameterGroupName": "odd", "Parameters": [{"ApplyMethod": "immediate"}]},
            "MissingParameter",
        ),
        ("describe_events", {"Duration": 2**31 - 1}, "InvalidParameterValue"),
        (
            "describe_events",
            {"EndTime": datetime(1, 1, 1, tzinfo=UTC)},
            "InvalidParameterValue",
        ),
    ],
)
def test_a_part_that_is_missing_and_a_time_that_is_none_are_the_callers_fault(
    rds: Any, notes: Any, refused: Refused, method: str, members: dict[str, Any], code: str
) -> None:
    if method == "add_tags_to_resource":
        members = {**members, "ResourceName": notes["DBClusterArn"]}
    assert refused(getattr(rds, method), **members) == (code, 400)


def test_an_error_speaks_of_rds_s_names(rds: Any, notes: Any) -> None:
    with pytest.raises(rds.exceptions.DBClusterNotFoundFault, match="DescribeDBClusters lists"):
        rds.start_db_cluster(DBClusterIdentifier="note")
    with pytest.raises(rds.exceptions.ClientError, match="MasterUserPassword must have 8 to 128"):
        rds.modify_db_cluster(DBClusterIdentifier="notes", MasterUserPassword="short")
    with pytest.raises(rds.exceptions.ClientError, match="DescribeDBProxies of rds is not impl"):
        rds.describe_db_proxies()


def test_tags(endpoint: Endpoint, rds: Any, notes: Any) -> None:
    arn = notes["DBClusterArn"]
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "a", "Value": "1"}]
    rds.add_tags_to_resource(
        ResourceName=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    )
    described = rds.describe_db_clusters(DBClusterIdentifier="notes")["DBClusters"][0]
    assert described["TagList"] == [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}]
    assert endpoint.runtime.cluster("notes").describe().tag_list[0].value == "2"
    instance = arn.replace(":cluster:notes", ":db:notes-instance-1")
    assert len(rds.list_tags_for_resource(ResourceName=instance)["TagList"]) == 2
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["b", "c"])
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "a", "Value": "1"}]


def test_more_than_fifty_tags_are_refused(rds: Any, notes: Any, refused: Refused) -> None:
    tags = [{"Key": str(number), "Value": "x"} for number in range(50)]
    arn = notes["DBClusterArn"]
    assert refused(rds.add_tags_to_resource, ResourceName=arn, Tags=tags)[0] == (
        "InvalidParameterValue"
    )


def test_engine_versions_and_options(endpoint: Endpoint, rds: Any, notes: Any) -> None:
    versions = rds.describe_db_engine_versions(Engine=ENGINE)["DBEngineVersions"]
    assert notes["EngineVersion"] in [each["EngineVersion"] for each in versions]
    (default,) = rds.describe_db_engine_versions(Engine=ENGINE, DefaultOnly=True)[
        "DBEngineVersions"
    ]
    assert default["EngineVersion"] == notes["EngineVersion"]
    assert (
        default["DBParameterGroupFamily"] == f"{ENGINE}{notes['EngineVersion'].partition('.')[0]}"
    )
    assert rds.describe_db_engine_versions(Engine="mysql")["DBEngineVersions"] == []
    options = rds.describe_orderable_db_instance_options(
        Engine=ENGINE, EngineVersion=default["EngineVersion"]
    )["OrderableDBInstanceOptions"]
    assert {(each["DBInstanceClass"], each["StorageType"]) for each in options} >= {
        ("db.serverless", "aurora"),
        ("db.serverless", "aurora-iopt1"),
        ("db.r6g.large", "aurora"),
    }


def test_readers_and_what_leads_to_them(rds: Any, endpoint: Any) -> None:
    runtime = endpoint.runtime
    runtime.create_db_cluster("read")
    made = rds.create_db_instance(
        DBInstanceIdentifier="read-r",
        DBClusterIdentifier="read",
        DBInstanceClass="db.r6g.large",
        Engine=ENGINE,
        PromotionTier=3,
    )["DBInstance"]
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="read-r")
    assert (made["PromotionTier"], made["DBInstanceClass"]) == (3, "db.r6g.large")
    changed = rds.modify_db_instance(
        DBInstanceIdentifier="read-r", PromotionTier=0, ApplyImmediately=True
    )["DBInstance"]
    assert changed["PromotionTier"] == 0
    custom = rds.create_db_cluster_endpoint(
        DBClusterIdentifier="read",
        DBClusterEndpointIdentifier="reports",
        EndpointType="READER",
        StaticMembers=["read-r"],
    )
    assert (custom["EndpointType"], custom["CustomEndpointType"]) == ("CUSTOM", "READER")
    modified = rds.modify_db_cluster_endpoint(
        DBClusterEndpointIdentifier="reports", EndpointType="ANY"
    )
    assert (modified["CustomEndpointType"], modified["StaticMembers"]) == ("ANY", ["read-r"])
    described = rds.describe_db_cluster_endpoints(DBClusterIdentifier="read")["DBClusterEndpoints"]
    assert [each["EndpointType"] for each in described] == ["WRITER", "READER", "CUSTOM"]
    deleted = rds.delete_db_cluster_endpoint(DBClusterEndpointIdentifier="reports")
    assert deleted["Status"] == "deleting"
    rds.failover_db_cluster(DBClusterIdentifier="read", TargetDBInstanceIdentifier="read-r")
    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier="read")["DBClusters"]
    assert cluster["MultiAZ"] is True
    assert {
        each["DBInstanceIdentifier"]: each["IsClusterWriter"]
        for each in cluster["DBClusterMembers"]
    } == {"read-r": True, "read-instance-1": False}
    runtime.delete_db_cluster("read")


def test_nothing_waits_to_be_done_to_a_new_cluster(rds: Any, notes: Any) -> None:
    arn = notes["DBClusterArn"]
    found = rds.describe_pending_maintenance_actions(ResourceIdentifier=arn)
    assert found["PendingMaintenanceActions"] == []


def test_a_log_file_is_shown_and_downloaded_in_parts(
    endpoint: Endpoint, rds: Any, notes: Any
) -> None:
    with endpoint.runtime.cluster("notes").connect() as conn:
        conn.execute("do $$ begin raise warning 'a line of the log'; end $$")
        for number in range(30):
            conn.execute(f"do $$ begin raise warning 'and line {number}'; end $$")
    (file,) = rds.describe_db_log_files(DBInstanceIdentifier="notes-instance-1")[
        "DescribeDBLogFiles"
    ]
    assert file["Size"] > 0
    assert file["LastWritten"] / 1000 == pytest.approx(datetime.now(UTC).timestamp(), abs=60)
    none = rds.describe_db_log_files(
        DBInstanceIdentifier="notes-instance-1", FileSize=file["Size"] + 1_000_000
    )
    assert none["DescribeDBLogFiles"] == []
    where = {"DBInstanceIdentifier": "notes-instance-1", "LogFileName": file["LogFileName"]}
    end = rds.download_db_log_file_portion(**where, NumberOfLines=2)
    assert len(end["LogFileData"].splitlines()) == 2
    assert end["AdditionalDataPending"] is False
    pages = rds.get_paginator("download_db_log_file_portion").paginate(
        **where, PaginationConfig={"StartingToken": "0", "PageSize": 10}
    )
    parts = [page["LogFileData"] for page in pages]
    assert len(parts) > 3
    assert "".join(parts).count("a line of the log") == 1
    assert "and line 29" in parts[-1] + parts[-2]


def test_events(endpoint: Endpoint, rds: Any, notes: Any) -> None:
    endpoint.runtime.modify_db_cluster("notes", reset_settings=True)
    events = rds.describe_events(SourceIdentifier="notes", SourceType="db-cluster")["Events"]
    assert len(events) == len(endpoint.runtime.describe_events("notes")) > 0
    assert events[0]["SourceArn"] == notes["DBClusterArn"]
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert rds.describe_events(StartTime=ahead, EndTime=ahead)["Events"] == []
    assert rds.describe_events(SourceType="db-proxy")["Events"] == []
    chosen = rds.describe_events(SourceIdentifier="notes", EventCategories=["creation"])["Events"]
    assert [each["Message"] for each in chosen] == ["DB cluster created"]
    recent = rds.describe_events(SourceIdentifier="notes", Duration=5)["Events"]
    assert recent == events
    (categories,) = rds.describe_event_categories()["EventCategoriesMapList"]
    assert {category for each in events for category in each["EventCategories"]} <= {
        *categories["EventCategories"]
    }


def test_the_runtime_manages_a_master_password(endpoint: Endpoint, rds: Any) -> None:
    made = rds.create_db_cluster(
        DBClusterIdentifier="managed",
        Engine=ENGINE,
        MasterUsername="owner",
        ManageMasterUserPassword=True,
    )["DBCluster"]
    assert made["IAMDatabaseAuthenticationEnabled"] is False, "as RDS has it by default"
    arn = made["MasterUserSecret"]["SecretArn"]
    secrets = endpoint.client("secretsmanager")
    first = secrets.get_secret_value(SecretId=arn)
    login = json.loads(first["SecretString"])
    assert login["username"] == "owner"
    rds.create_db_instance(
        DBInstanceIdentifier="managed-1",
        DBInstanceClass="db.serverless",
        Engine=ENGINE,
        DBClusterIdentifier="managed",
    )
    cluster = endpoint.runtime.cluster("managed")
    connect_with_password(cluster, login["username"], login["password"]).close()

    described = secrets.describe_secret(SecretId=first["Name"])
    assert described["ARN"] == arn
    assert described["OwningService"] == "rds"
    assert described["VersionIdsToStages"] == {first["VersionId"]: ["AWSCURRENT"]}
    assert [each["ARN"] for each in secrets.list_secrets()["SecretList"]] == [arn]

    rds.modify_db_cluster(DBClusterIdentifier="managed", RotateMasterUserPassword=True)
    second = secrets.get_secret_value(SecretId=arn)
    assert second["VersionId"] != first["VersionId"]
    rotated = json.loads(second["SecretString"])
    with pytest.raises(psycopg.OperationalError):
        connect_with_password(cluster, login["username"], login["password"])
    connect_with_password(cluster, rotated["username"], rotated["password"]).close()

    rds.modify_db_cluster(
        DBClusterIdentifier="managed",
        ManageMasterUserPassword=False,
        MasterUserPassword="now-my-own-password",
    )
    with pytest.raises(secrets.exceptions.ResourceNotFoundException):
        secrets.get_secret_value(SecretId=arn)
    connect_with_password(cluster, "owner", "now-my-own-password").close()
    deleted(rds, "managed")


def test_a_managed_password_stands_in_no_file(endpoint: Endpoint, rds: Any) -> None:
    rds.create_db_cluster(
        DBClusterIdentifier="secret", Engine=ENGINE, ManageMasterUserPassword=True
    )
    password = endpoint.runtime.get_master_user_secret("secret").password.encode()
    rds.stop_db_cluster(DBClusterIdentifier="secret")
    holding = [
        path
        for path in endpoint.state_dir.rglob("*")
        if path.is_file() and not path.is_symlink() and password in path.read_bytes()
    ]
    assert holding == []
    assert repr(password) not in repr(endpoint.runtime.get_master_user_secret("secret"))


def test_parameter_groups(endpoint: Endpoint, rds: Any, notes: Any, refused: Refused) -> None:
    (default,) = rds.describe_db_cluster_parameter_groups(
        DBClusterParameterGroupName=notes["DBClusterParameterGroup"]
    )["DBClusterParameterGroups"]
    family = default["DBParameterGroupFamily"]
    named = {"DBClusterParameterGroupName": "tuned"}
    made = rds.create_db_cluster_parameter_group(
        **named, DBParameterGroupFamily=family, Description="for a test"
    )["DBClusterParameterGroup"]
    assert made["DBClusterParameterGroupArn"].endswith(":cluster-pg:tuned")
    rds.modify_db_cluster(DBClusterIdentifier="notes", **named)
    parameters = [
        {"ParameterName": name, "ParameterValue": value, "ApplyMethod": method}
        for name, value, method in (
            ("work_mem", "8192", "immediate"),
            ("max_connections", "60", "pending-reboot"),
        )
    ]
    changed = rds.modify_db_cluster_parameter_group(**named, Parameters=parameters)
    assert changed["DBClusterParameterGroupName"] == "tuned"
    with endpoint.runtime.cluster("notes").connect() as conn:
        assert conn.execute("show work_mem").fetchone() == ("8MB",)
    (described,) = rds.describe_db_clusters(DBClusterIdentifier="notes")["DBClusters"]
    assert described["DBClusterParameterGroup"] == "tuned"
    assert [each["DBClusterParameterGroupStatus"] for each in described["DBClusterMembers"]] == [
        "pending-reboot"
    ]
    pages = rds.get_paginator("describe_db_cluster_parameters").paginate(**named)
    shown = {each["ParameterName"]: each for page in pages for each in page["Parameters"]}
    assert len(shown) > 300
    assert shown["max_connections"]["ApplyType"] == "static"
    assert shown["max_connections"]["ParameterValue"] == "60"
    assert shown["fsync"]["IsModifiable"] is False
    (user, other) = (
        rds.describe_db_cluster_parameters(**named, Source=source)["Parameters"]
        for source in ("user", "engine-default")
    )
    assert [each["ParameterName"] for each in user] == ["max_connections", "work_mem"]
    assert other
    wrong = [{"ParameterName": "fsync", "ParameterValue": "0", "ApplyMethod": "immediate"}]
    assert refused(rds.modify_db_cluster_parameter_group, **named, Parameters=wrong) == (
        "InvalidParameterValue",
        400,
    )
    in_use = refused(rds.delete_db_cluster_parameter_group, **named)
    assert in_use == ("InvalidDBParameterGroupState", 400)
    rds.modify_db_cluster(
        DBClusterIdentifier="notes",
        DBClusterParameterGroupName=default["DBClusterParameterGroupName"],
    )
    rds.reset_db_cluster_parameter_group(**named, ResetAllParameters=True)
    rds.delete_db_cluster_parameter_group(**named)
    unknown = refused(rds.describe_db_cluster_parameters, **named)
    assert unknown == ("DBParameterGroupNotFound", 404)


def test_pages_hold_together(rds: Any, notes: Any) -> None:
    identifiers = [f"page-{number:02}" for number in range(3)]
    for each in identifiers:
        rds.create_db_cluster(DBClusterIdentifier=each, **EXPRESS)
    pages = list(rds.get_paginator("describe_db_clusters").paginate(MaxRecords=20))
    shown = [each["DBClusterIdentifier"] for page in pages for each in page["DBClusters"]]
    assert shown == sorted(shown)
    assert {*identifiers, "notes"} <= set(shown)
    for each in identifiers:
        deleted(rds, each)


@pytest.mark.parametrize("members", [{"MaxRecords": 19}, {"MaxRecords": 101}, {"Marker": "x"}])
def test_a_page_that_nobody_gave_out_is_refused(
    rds: Any, refused: Refused, members: dict[str, Any]
) -> None:
    assert refused(rds.describe_db_clusters, **members) == ("InvalidParameterValue", 400)


def test_every_operation_that_is_offered_is_called_here_or_in_the_file_of_backups() -> None:
    """Whatever is called through the fixture has its answer compared with the model."""
    texts = [
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_rds*.py")
    ]
    calls = r"\brds\.(\w+)[(,]|get_(?:paginator|waiter)\(\"(\w+)\""
    called = {name for text in texts for found in re.findall(calls, text) for name in found}
    offered = {xform_name(each) for each in rds_operations(None)}  # type: ignore[arg-type]
    assert offered - called == set()


def test_sts_says_who_signs(endpoint: Endpoint) -> None:
    caller = endpoint.client("sts").get_caller_identity()
    assert caller["Arn"] == "arn:aws:iam::000000000000:user/borealis"
    assert caller["Account"] == "000000000000"
    assert caller["UserId"] == endpoint.keys["aws_access_key_id"]


def test_a_session_of_a_role_signs_requests_and_tokens(
    endpoint: Endpoint, notes: Any, refused: Refused
) -> None:
    sts = endpoint.client("sts")
    made = sts.assume_role(
        RoleArn="arn:aws:iam::000000000000:role/agent", RoleSessionName="one", DurationSeconds=900
    )
    keys = {
        "aws_access_key_id": made["Credentials"]["AccessKeyId"],
        "aws_secret_access_key": made["Credentials"]["SecretAccessKey"],
        "aws_session_token": made["Credentials"]["SessionToken"],
    }
    caller = endpoint.client("sts", **keys).get_caller_identity()
    assert caller["Arn"] == made["AssumedRoleUser"]["Arn"]
    assert caller["Arn"] == "arn:aws:sts::000000000000:assumed-role/agent/one"
    rds = endpoint.client("rds", **keys)
    token = rds.generate_db_auth_token(notes["Endpoint"], notes["Port"], "postgres", REGION)
    with psycopg.connect(
        host=notes["Endpoint"],
        hostaddr="127.0.0.1",
        port=notes["Port"],
        user="postgres",
        password=token,
        dbname="postgres",
        sslmode="require",
    ) as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    endpoint.clock.off = timedelta(minutes=15, seconds=1)
    try:
        late = endpoint.client("sts", **keys)
        late.meta.events.register("before-sign", lambda **_: None)
        code, _ = refused(late.get_caller_identity)
    finally:
        endpoint.clock.off = timedelta(0)
    assert code == "ExpiredToken"
    role = "arn:aws:iam::000000000000:role/agent"
    limited = refused(sts.assume_role, RoleArn=role, RoleSessionName="two", Policy="{}")
    assert limited == ("InvalidParameterCombination", 400), "it would have all rights"


POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "rds-db:connect", "Resource": ["*"]}],
}


def test_policies_are_kept_and_shown(endpoint: Endpoint) -> None:
    iam = endpoint.client("iam")
    arn = "arn:aws:iam::000000000000:policy/connect"
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_policy(PolicyArn=arn)
    made = iam.create_policy(PolicyName="connect", PolicyDocument=json.dumps(POLICY))["Policy"]
    assert made["Arn"] == arn
    version = iam.get_policy_version(PolicyArn=arn, VersionId=made["DefaultVersionId"])
    assert version["PolicyVersion"]["Document"] == POLICY
    iam.attach_user_policy(UserName="borealis", PolicyArn=arn)
    attached = iam.list_attached_user_policies(UserName="borealis")["AttachedPolicies"]
    assert attached == [{"PolicyName": "connect", "PolicyArn": arn}]
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(POLICY))
    with pytest.raises(iam.exceptions.LimitExceededException):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(POLICY))
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 4
    with pytest.raises(iam.exceptions.DeleteConflictException):
        iam.delete_policy(PolicyArn=arn)
    iam.detach_user_policy(UserName="borealis", PolicyArn=arn)
    iam.attach_role_policy(RoleName="agent", PolicyArn=arn)
    assert len(iam.list_attached_role_policies(RoleName="agent")["AttachedPolicies"]) == 1
    iam.detach_role_policy(RoleName="agent", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert iam.get_user()["User"]["UserName"] == "borealis"


@pytest.mark.parametrize(
    "document",
    [
        "no json",
        "{}",
        json.dumps({"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}),
        json.dumps({"Statement": {"Effect": "Allow", "Condition": {"Bool": {}}, "Action": "*"}}),
    ],
)
def test_a_policy_that_nothing_would_hold_is_refused(endpoint: Endpoint, document: str) -> None:
    iam = endpoint.client("iam")
    with pytest.raises(iam.exceptions.MalformedPolicyDocumentException):
        iam.create_policy(PolicyName="strict", PolicyDocument=document)


def test_iam_has_no_other_users(endpoint: Endpoint, refused: Refused) -> None:
    iam = endpoint.client("iam")
    assert refused(iam.get_user, UserName="ann") == ("NoSuchEntity", 404)
    assert refused(iam.create_user, UserName="ann") == ("NotImplemented", 501)
