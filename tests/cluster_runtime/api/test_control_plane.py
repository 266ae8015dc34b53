"""One control plane in three homes: in this process, behind a host, and behind the RDS API."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from botocore.session import Session

from cluster_runtime import (
    ClusterStatus,
    ControlPlane,
    HostClient,
    RdsControlPlane,
    Runtime,
    ServerlessScaling,
    Tag,
)
from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.errors import (
    BorealisError,
    ClusterAlreadyExistsError,
    ClusterClosedError,
    ClusterNotFoundError,
    DeletionProtectedError,
    HostVersionError,
    InstanceNotFoundError,
    InvalidClusterStateError,
    InvalidParameterError,
    OperationNotSupportedError,
)
from tests.cluster_runtime.api.conftest import Endpoint
from tests.waiting import wait_until

HOMES = ["process", "socket", "state directory", "url", "rds on the socket", "rds at the url"]
HOSTED = HOMES[:4]


@pytest.fixture(params=HOMES)
def plane(request: pytest.FixtureRequest, endpoint: Endpoint) -> Any:
    return plane_at(request.param, endpoint)


def plane_at(home: str, endpoint: Endpoint) -> Any:
    session = Session()
    session.set_credentials(*endpoint.keys.values())
    match home:
        case "process":
            return endpoint.runtime
        case "socket":
            return RdsControlPlane(endpoint.facts.socket)
        case "state directory":
            return RdsControlPlane(endpoint.state_dir)
        case "url":
            return RdsControlPlane(endpoint.url, session=session)
        case "rds on the socket":
            return RdsControlPlane(endpoint.state_dir, rds_api=True)
        case _:
            return RdsControlPlane(endpoint.url, session=session, rds_api=True)


@pytest.fixture
def name(request: pytest.FixtureRequest, endpoint: Endpoint) -> Iterator[str]:
    """An identifier of the test's own; its cluster is gone afterwards."""
    taken = f"c{abs(hash(request.node.nodeid)) % 10**9}"
    yield taken
    if any(each.db_cluster_identifier == taken for each in endpoint.runtime.describe_db_clusters()):
        endpoint.runtime.delete_db_cluster(taken)


def test_a_cluster_is_made_used_changed_and_deleted(plane: ControlPlane, name: str) -> None:
    cluster = plane.create_db_cluster(name, tags=(Tag("for", "a test"),))
    assert cluster.identifier == name
    assert cluster.status is ClusterStatus.AVAILABLE
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    with cluster.connect("writer", user="postgres", dbname="postgres") as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    (instance,) = cluster.instances
    assert instance.is_cluster_writer
    with cluster.connect(instance.db_instance_identifier, user="postgres") as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    with pytest.raises(InvalidParameterError, match="no endpoint 'nothing'"):
        cluster.dsn("nothing")

    scaling = ServerlessScaling(0.5, 8, 600)
    changed = plane.modify_db_cluster(name, serverless_v2_scaling_configuration=scaling)
    assert changed.scaling == scaling == cluster.describe().scaling
    assert plane.stop_db_cluster(cluster.id).status is ClusterStatus.STOPPED
    assert plane.start_db_cluster(cluster.id).status is ClusterStatus.AVAILABLE
    assert plane.failover_db_cluster(name).status is ClusterStatus.AVAILABLE
    with plane.cluster(cluster.id).connect() as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    deleted = plane.delete_db_cluster(name)
    assert deleted.db_cluster_resource_id == cluster.id
    with pytest.raises(ClusterNotFoundError):
        plane.cluster(name)


async def test_an_asynchronous_connection(endpoint: Endpoint, name: str) -> None:
    plane = plane_at("state directory", endpoint)
    cluster = plane.create_db_cluster(name)
    async with await cluster.aconnect(user="postgres") as conn:
        cursor = await conn.execute("select 1")
        assert await cursor.fetchone() == (1,)


def test_errors_are_the_same(plane: ControlPlane, name: str) -> None:
    plane.create_db_cluster(name, deletion_protection=True)
    with pytest.raises(ClusterAlreadyExistsError, match=name):
        plane.create_db_cluster(name)
    with pytest.raises(ClusterNotFoundError, match="did you mean"):
        plane.cluster(name[:-1])
    with pytest.raises(InstanceNotFoundError):
        plane.describe_db_instances("nothing")
    with pytest.raises(InvalidClusterStateError, match="available"):
        plane.start_db_cluster(name)
    with pytest.raises(InvalidParameterError, match="characters"):
        plane.modify_db_cluster(name, master_user_password="short")
    plane.modify_db_cluster(name, deletion_protection=False)


@pytest.mark.parametrize("home", HOSTED)
def test_behind_a_host_every_fact_is_the_same(endpoint: Endpoint, name: str, home: str) -> None:
    plane = plane_at(home, endpoint)
    made = plane.create_db_cluster(name, tags=(Tag("a", "1"),), manage_master_user_password=True)
    # Capacity is another one from one second to the next: two that are asked at once agree.
    wait_until(lambda: made.describe() == endpoint.runtime.cluster(name).describe())
    for operation, arguments in [
        ("describe_db_clusters", (name,)),
        ("describe_db_instances", ()),
        ("describe_events", ()),
        ("describe_db_engine_versions", ()),
        ("describe_db_log_files", (f"{name}-instance-1",)),
        ("get_master_user_secret", (name,)),
        ("list_tags_for_resource", (made.describe().db_cluster_arn,)),
        ("describe_host", ()),
    ]:
        here, there = (
            partial(getattr(each, operation), *arguments) for each in (endpoint.runtime, plane)
        )
        wait_until(lambda here=here, there=there: there() == here())  # type: ignore[misc]
    with made.connect(application_name="seen"):
        (here,) = endpoint.runtime.describe_sessions(name)
        (there,) = plane.describe_sessions(name)
        assert there == here
    volume = plane.describe_volume(name)
    assert [each.id for each in volume.segments] == ["a1", "a2", "b1", "b2", "c1", "c2"]


@pytest.mark.parametrize("home", HOSTED)
def test_behind_a_host_every_error_is_the_same(endpoint: Endpoint, name: str, home: str) -> None:
    endpoint.runtime.create_db_cluster(name, deletion_protection=True)
    for kind, call in [
        (DeletionProtectedError, lambda plane: plane.delete_db_cluster(name)),
        (ClusterNotFoundError, lambda plane: plane.describe_volume("nothing")),
        (InvalidParameterError, lambda plane: plane.inject_fault(name, "segment:x", "crash")),
    ]:
        raised = []
        for plane in (endpoint.runtime, plane_at(home, endpoint)):
            with pytest.raises(kind) as error:
                call(plane)
            raised.append(error.value)
        here, there = raised
        assert type(there) is type(here)
        assert there.said == here.said, "so that each reader has it in words of its own"
    endpoint.runtime.modify_db_cluster(name, deletion_protection=False)
    endpoint.runtime.stop_db_cluster(name)
    with pytest.raises(ClusterClosedError, match="start_db_cluster"):
        plane_at(home, endpoint).cluster(name).dsn()


def test_ours_alone_work_behind_a_host(endpoint: Endpoint, name: str) -> None:
    plane = plane_at("socket", endpoint)
    plane.create_db_cluster(name)
    assert plane.pause_db_cluster(name).paused
    plane.inject_fault(name, "segment:a1", "crash", 600)
    assert next(each for each in plane.describe_volume(name).segments if each.id == "a1").fault
    plane.heal_fault(name)
    with plane.cluster(name).connect() as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    plane.lose_compute(name)


@pytest.mark.parametrize("home", HOMES[4:])
def test_the_rds_api_has_nothing_of_ours(endpoint: Endpoint, name: str, home: str) -> None:
    plane = plane_at(home, endpoint)
    endpoint.runtime.create_db_cluster(name)
    with pytest.raises(OperationNotSupportedError, match="no PauseDBCluster"):
        plane.pause_db_cluster(name)
    with pytest.raises(OperationNotSupportedError, match="takes no require_tls"):
        plane.modify_db_cluster(name, require_tls=False)


@pytest.mark.parametrize("home", HOMES[4:])
def test_over_the_rds_api_facts_are_what_its_shapes_say(
    endpoint: Endpoint, name: str, home: str
) -> None:
    plane = plane_at(home, endpoint)
    made = plane.create_db_cluster(name, tags=(Tag("a", "1"),))
    here, there = endpoint.runtime.cluster(name).describe(), made.describe()
    moment = there.cluster_create_time
    assert abs((moment - here.cluster_create_time).total_seconds()) < 0.001
    known = replace(
        here,
        reader_port=here.port,
        cluster_create_time=moment,
        earliest_backtrack_time=there.earliest_backtrack_time,  # as soon as there is one
        capacity=0.5,
        walls=None,
        serverless_capacity=None,
    )
    assert there == known
    assert plane.list_tags_for_resource(there.db_cluster_arn) == [Tag("a", "1")]
    assert plane.describe_db_engine_versions() == endpoint.runtime.describe_db_engine_versions()
    log = f"{name}-instance-1"
    (file,) = plane.describe_db_log_files(log)
    portion = plane.download_db_log_file_portion(log, file.log_file_name, marker="0")
    assert "database system is ready" in portion.log_file_data


def test_it_offers_what_the_protocol_promises() -> None:
    def parameters(kind: type, method: str) -> list[tuple[Any, ...]]:
        found = inspect.signature(getattr(kind, method)).parameters.values()
        return [(each.name, each.kind, each.default) for each in found]

    for declared in OPERATIONS:
        promised = parameters(ControlPlane, declared.method)
        assert parameters(RdsControlPlane, declared.method) == promised
        assert parameters(Runtime, declared.method) == promised


def test_a_host_that_is_gone_is_said(endpoint: Endpoint, tmp_path: Any) -> None:
    (tmp_path / "credentials").write_text((endpoint.state_dir / "credentials").read_text())
    with pytest.raises(BorealisError, match=r"is its host running\?"):
        RdsControlPlane(tmp_path).describe_db_clusters()


LIGHT = """
import sys
from cluster_runtime.api.client.host import HostClient
heavy = {"botocore", "pydantic", "starlette", "uvicorn", "cryptography", "psycopg", "numpy"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


def test_the_thin_client_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_operations_have_plain_json_for_those_who_have_no_types(
    endpoint: Endpoint, name: str
) -> None:
    client = HostClient.of(endpoint.state_dir)
    made = client.call("CreateDBCluster", {"db_cluster_identifier": name})
    assert made["status"] == "available"
    with pytest.raises(InvalidParameterError, match="colour"):
        client.call("DescribeDBClusters", {"colour": "red"})
    with pytest.raises(InvalidParameterError, match="db_cluster_identifier"):
        client.call("PauseDBCluster", {"db_cluster_identifier": 1})
    with pytest.raises(HostVersionError, match="no operation 'Nothing'"):
        client.call("Nothing")
