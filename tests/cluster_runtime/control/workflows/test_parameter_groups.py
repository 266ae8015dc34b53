"""Parameters of PostgreSQL by groups: real ones, static ones at the next start, none that harms."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from cluster_runtime import ClusterHandle, DBParameter, Runtime
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.parameters import definitions
from cluster_runtime.errors import (
    EngineError,
    InvalidParameterError,
    ParameterGroupAlreadyExistsError,
    ParameterGroupInUseError,
    ParameterGroupNotFoundError,
)
from cluster_runtime.serverless.enforcement.machine import this_machine
from cluster_runtime.serverless.enforcement.parameters import parameters_of_range

pytestmark = pytest.mark.usefixtures("nothing_runs_on")

FAMILY = "aurora-postgresql18"
NOW, LATER = "immediate", "pending-reboot"


@pytest.fixture
def tuned(shared_runtime: Runtime) -> Iterator[str]:
    """A group of the test's own."""
    shared_runtime.create_db_cluster_parameter_group("tuned", FAMILY, "for a test")
    yield "tuned"
    for facts in shared_runtime.describe_db_clusters():
        shared_runtime.delete_db_cluster(facts.db_cluster_identifier)
    shared_runtime.delete_db_cluster_parameter_group("tuned")


def setting(cluster: ClusterHandle, name: str) -> str:
    with cluster.connect() as conn:
        row = conn.execute("select current_setting(%s)", [name]).fetchone()
    assert row is not None
    return str(row[0])


def status(cluster: ClusterHandle) -> str:
    return cluster.instances[0].db_cluster_parameter_group_status


def test_a_dynamic_parameter_applies_at_once_and_a_static_one_at_the_next_start(
    shared_runtime: Runtime, tuned: str
) -> None:
    cluster = shared_runtime.create_db_cluster("notes", db_cluster_parameter_group_name=tuned)
    shared_runtime.modify_db_cluster_parameter_group(
        tuned,
        [DBParameter("work_mem", "8192", NOW), DBParameter("max_connections", "60", LATER)],
    )
    assert setting(cluster, "work_mem") == "8MB"
    assert setting(cluster, "max_connections") == "100"
    assert status(cluster) == "pending-reboot"
    shared_runtime.reboot_db_instance("notes-instance-1")
    assert setting(cluster, "max_connections") == "60"
    assert status(cluster) == "in-sync"

    shared_runtime.modify_db_cluster_parameter_group(tuned, [DBParameter("jit", "0", LATER)])
    assert status(cluster) == "pending-reboot"
    shared_runtime.pause_db_cluster("notes")
    assert setting(cluster, "jit") == "off", "a wake is a start"

    shared_runtime.reset_db_cluster_parameter_group(tuned, parameters=[DBParameter("work_mem")])
    assert setting(cluster, "work_mem") == "4MB"
    shared_runtime.reset_db_cluster_parameter_group(tuned, reset_all_parameters=True)
    assert setting(cluster, "jit") == "on"
    assert setting(cluster, "max_connections") == "60"
    shared_runtime.failover_db_cluster("notes")
    range_of = cluster.describe().scaling
    of_range = parameters_of_range(
        range_of.min_capacity, range_of.max_capacity, this_machine().memory_bytes
    )
    assert setting(cluster, "max_connections") == of_range["max_connections"]


def test_a_cluster_that_is_made_with_a_group_has_its_static_parameters(
    shared_runtime: Runtime, tuned: str
) -> None:
    shared_runtime.modify_db_cluster_parameter_group(
        tuned, [DBParameter("shared_buffers", "8192", LATER)]
    )
    cluster = shared_runtime.create_db_cluster("big", db_cluster_parameter_group_name=tuned)
    assert setting(cluster, "shared_buffers") == "64MB"
    assert status(cluster) == "in-sync"
    default = f"default.{FAMILY}"
    shared_runtime.modify_db_cluster("big", db_cluster_parameter_group_name=default)
    assert cluster.describe().db_cluster_parameter_group == ""
    assert status(cluster) == "pending-reboot"


def test_a_group_that_keeps_a_writer_from_starting_leaves_nothing_of_a_new_cluster(
    shared_runtime: Runtime, tuned: str
) -> None:
    shared_runtime.modify_db_cluster_parameter_group(
        tuned, [DBParameter("shared_buffers", "1073741823", LATER)]
    )
    with pytest.raises(EngineError, match="memory"):
        shared_runtime.create_db_cluster("huge", db_cluster_parameter_group_name=tuned)
    assert [each.db_cluster_identifier for each in shared_runtime.describe_db_clusters()] == []


def test_a_reader_serves_although_the_writer_had_more_connections(
    shared_runtime: Runtime, tuned: str
) -> None:
    shared_runtime.modify_db_cluster_parameter_group(
        tuned, [DBParameter("max_connections", "300", LATER)]
    )
    cluster = shared_runtime.create_db_cluster("read", db_cluster_parameter_group_name=tuned)
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    for zone in ("az:a", "segment:b1"):
        shared_runtime.inject_fault("read", zone, "crash")
    shared_runtime.lose_compute("read")
    with cluster.connect("reader") as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    shared_runtime.heal_fault("read")


@pytest.mark.parametrize(
    ("name", "value", "method"),
    [
        ("fsync", "off", NOW),
        ("archive_command", "touch /tmp/x", NOW),
        ("shared_preload_libraries", "x", LATER),
        ("log_statement", "all", NOW),
        ("log_min_duration_statement", "0", NOW),
        ("synchronous_standby_names", "", NOW),
        ("dynamic_library_path", "/tmp", NOW),
        ("max_connections", "5", LATER),
        ("max_connections", "2000", LATER),
        ("max_connections", "60", NOW),
        ("work_mem", "much", NOW),
        ("jit", "perhaps", NOW),
        ("DateStyle", "ISO'\nfsync = off", NOW),
        ("nothing", "1", NOW),
    ],
)
def test_what_a_tenant_may_not_set_is_refused(
    shared_runtime: Runtime, tuned: str, name: str, value: str, method: str
) -> None:
    with pytest.raises(InvalidParameterError):
        shared_runtime.modify_db_cluster_parameter_group(
            tuned,
            [DBParameter(name, value, method)],  # type: ignore[arg-type]
        )
    shown = shared_runtime.describe_db_cluster_parameters(tuned, source="user")
    assert shown == []


def test_the_parameters_are_the_server_s_own(shared_runtime: Runtime, tuned: str) -> None:
    shown = {
        each.parameter_name: each for each in shared_runtime.describe_db_cluster_parameters(tuned)
    }
    assert len(shown) > 300
    assert (shown["max_connections"].apply_type, shown["work_mem"].apply_type) == (
        "static",
        "dynamic",
    )
    assert shown["max_connections"].allowed_values == "20-1000"
    assert not shown["fsync"].is_modifiable
    cluster = shared_runtime.create_db_cluster("notes")
    with cluster.connect() as conn:
        rows = conn.execute(
            "select name, context = 'postmaster' from pg_settings where context <> 'internal'"
        ).fetchall()
    known = definitions(find_installation())
    static = {name: is_static for name, is_static in rows if name.lower() in known}
    assert {name: known[name.lower()].static for name in static} == static


def test_groups_are_made_shown_used_and_deleted(shared_runtime: Runtime, tuned: str) -> None:
    names = [
        each.db_cluster_parameter_group_name
        for each in shared_runtime.describe_db_cluster_parameter_groups()
    ]
    assert names == sorted(names)
    assert {f"default.{FAMILY}", tuned} <= set(names)
    with pytest.raises(ParameterGroupAlreadyExistsError):
        shared_runtime.create_db_cluster_parameter_group("Tuned", FAMILY, "again")
    with pytest.raises(InvalidParameterError, match=FAMILY):
        shared_runtime.create_db_cluster_parameter_group("other", "mysql8", "no")
    with pytest.raises(ParameterGroupNotFoundError):
        shared_runtime.describe_db_cluster_parameters("nothing")
    with pytest.raises(ParameterGroupNotFoundError):
        shared_runtime.create_db_cluster("n", db_cluster_parameter_group_name="nothing")
    with pytest.raises(ParameterGroupInUseError, match="nobody changes"):
        shared_runtime.modify_db_cluster_parameter_group(
            f"default.{FAMILY}", [DBParameter("work_mem", "8192", NOW)]
        )
    shared_runtime.create_db_cluster("notes", db_cluster_parameter_group_name=tuned)
    with pytest.raises(ParameterGroupInUseError, match="'notes'"):
        shared_runtime.delete_db_cluster_parameter_group(tuned)


def test_a_group_is_there_after_a_restart_of_the_host(state_dir: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        runtime.create_db_cluster_parameter_group("kept", FAMILY, "for later")
        runtime.modify_db_cluster_parameter_group("kept", [DBParameter("work_mem", "8192", NOW)])
        runtime.create_db_cluster("notes", db_cluster_parameter_group_name="kept")
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.cluster("notes")
        assert setting(cluster, "work_mem") == "8MB"
        with cluster.connect() as conn, pytest.raises(psycopg.errors.CantChangeRuntimeParam):
            conn.execute("set max_connections = 5")
