"""Logical decoding on the writer and on readers: what slots need is kept, by name and bounded."""

from collections.abc import Iterator

import psycopg
import pytest

from cluster_runtime import ClusterHandle, DBParameter, Runtime
from cluster_runtime.control.monitoring import slots
from tests.waiting import wait_until

FAMILY = "aurora-postgresql18"
CREATE = "select lsn from rds_create_logical_replication_slot(%s, %s)"
DROP = "select rds_drop_logical_replication_slot(%s)"
CHANGES = "select data from rds_logical_slot_get_changes(%s, null, null)"
WRITER, READER = "log-instance-1", "log-r"


@pytest.fixture(scope="module")
def decoded(shared_runtime: Runtime) -> ClusterHandle:
    """A cluster with a reader whose log can be decoded."""
    shared_runtime.create_db_cluster_parameter_group("decoding", FAMILY, "for a test")
    shared_runtime.modify_db_cluster_parameter_group(
        "decoding", [DBParameter("rds.logical_replication", "1", "pending-reboot")]
    )
    made = shared_runtime.create_db_cluster("log", db_cluster_parameter_group_name="decoding")
    shared_runtime.create_db_instance(READER, db_cluster_identifier="log")
    with made.connect() as conn:
        conn.execute("create table t (x int)")
    return made


@pytest.fixture
def slot(decoded: ClusterHandle, request: pytest.FixtureRequest) -> Iterator[str]:
    """A slot on the reader, gone afterwards."""
    name = request.node.name[:40]
    with decoded.connect(READER, autocommit=True) as conn:
        conn.execute(CREATE, (name, "test_decoding"))
    yield name
    with decoded.connect(READER, autocommit=True) as conn:
        conn.execute(
            "select rds_drop_logical_replication_slot(slot_name) from pg_replication_slots"
            " where slot_name = %s",
            (name,),
        )


def slots_of(cluster: ClusterHandle, instance: str) -> list[str]:
    (found,) = [each for each in cluster.instances if each.db_instance_identifier == instance]
    return [each.slot_name for each in found.logical_replication_slots]


def inserted(conn: psycopg.Connection, slot: str) -> list[str]:  # type: ignore[type-arg]
    return [data for (data,) in conn.execute(CHANGES, (slot,)) if "INSERT" in data]


def replayed(cluster: ClusterHandle, x: int) -> bool:
    with cluster.connect(READER) as conn:
        return bool(conn.execute("select from t where x = %s", (x,)).fetchall())


def test_a_slot_on_a_reader_survives_a_vacuum_on_the_writer(
    shared_runtime: Runtime, decoded: ClusterHandle, slot: str
) -> None:
    held = "select catalog_xmin is not null from pg_replication_slots where slot_type = 'physical'"
    with decoded.connect(autocommit=True) as writer, decoded.connect(READER) as reader:
        reader.autocommit = True
        wait_until(lambda: writer.execute(held).fetchone() == (True,), 30)
        for x in range(5):  # each with a table of another shape, whose old rows a vacuum would take
            writer.execute("insert into t (x) values (%s)", (x,))
            writer.execute(f"alter table t add column c{x} int default {x}")
            writer.execute(f"create table gone_{x} (a int, b text)")
            writer.execute(f"drop table gone_{x}")
        for catalog in ("pg_class", "pg_attribute", "pg_attrdef", "pg_type", "pg_depend"):
            # As the owner of a catalog: members of rds_superuser may maintain what is not theirs.
            writer.execute(f"vacuum pg_catalog.{catalog}")
        writer.execute("insert into t (x) values (99)")
        wait_until(lambda: replayed(decoded, 99))
        ours = inserted(reader, slot)
        assert [int(each.split("x[integer]:")[1].split()[0]) for each in ours] == [*range(5), 99]
        assert "c4[integer]:4" in ours[-1]
        state = reader.execute(
            "select wal_status, invalidation_reason from pg_replication_slots where slot_name = %s",
            (slot,),
        ).fetchone()
    assert state == ("reserved", None)
    for x in range(5):
        with decoded.connect() as conn:
            conn.execute(f"alter table t drop column c{x}")


def test_what_a_slot_keeps_is_shown_by_its_name(decoded: ClusterHandle, slot: str) -> None:
    def shown() -> list[int]:
        (reader,) = [each for each in decoded.instances if not each.is_cluster_writer]
        return [
            each.log_bytes
            for each in reader.logical_replication_slots
            if (each.slot_name, each.database, each.plugin) == (slot, "postgres", "test_decoding")
        ]

    (before,) = wait_until(shown)
    with decoded.connect() as conn:
        conn.execute("insert into t select generate_series(1000, 20000)")
    wait_until(lambda: shown()[0] > before + (1 << 20))
    (reader,) = [each for each in decoded.instances if not each.is_cluster_writer]
    (found,) = [each for each in reader.logical_replication_slots if each.slot_name == slot]
    assert found.age_seconds > 0
    assert not found.active


@pytest.mark.parametrize("instance", [READER, WRITER])
def test_a_slot_that_keeps_too_much_is_dropped_with_an_event(
    shared_runtime: Runtime,
    decoded: ClusterHandle,
    monkeypatch: pytest.MonkeyPatch,
    instance: str,
) -> None:
    with decoded.connect(instance, autocommit=True) as conn:
        conn.execute(CREATE, ("greedy", "pgoutput"))
    wait_until(lambda: slots_of(decoded, instance) == ["greedy"])
    monkeypatch.setattr(slots, "LOG_BYTES_MAX", 1 << 20)
    with decoded.connect() as conn:
        conn.execute("insert into t select generate_series(1, 40000)")
    wait_until(lambda: slots_of(decoded, instance) == [])
    said = [each.message for each in shared_runtime.describe_events("log")]
    assert any(f"slot greedy of {instance} was dropped" in each for each in said)
    with decoded.connect(instance) as conn:
        assert conn.execute("select from pg_replication_slots where slot_type = 'logical'"
                            ).fetchall() == []  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "values", "why"),
    [
        (CREATE, ("s", "/tmp/library"), "output plugin"),
        (CREATE, ("borealis_mine", "pgoutput"), "belong to the runtime"),
        (DROP, ("borealis_storage",), "no logical replication slot"),
        ("select pg_create_logical_replication_slot(%s, %s)", ("s", "pgoutput"), "permission"),
        ("select pg_drop_replication_slot(%s)", ("borealis_storage",), "permission"),
    ],
)
def test_a_master_user_gets_no_further_than_that(
    decoded: ClusterHandle, statement: str, values: tuple[str, ...], why: str
) -> None:
    with decoded.connect(autocommit=True) as conn:
        with pytest.raises(psycopg.Error, match=why):
            conn.execute(statement.encode(), values)
        conn.execute("drop role if exists nobody_in_particular")
        conn.execute("create role nobody_in_particular")
        conn.execute("grant nobody_in_particular to current_user")
        conn.execute("set role nobody_in_particular")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(CREATE, ("s", "pgoutput"))
        conn.execute("reset role")
        conn.execute("drop role nobody_in_particular")


def test_a_cluster_whose_log_is_decoded_does_not_pause_by_itself(
    shared_runtime: Runtime, decoded: ClusterHandle
) -> None:
    watch = shared_runtime._home.service.find("log").watch  # type: ignore[attr-defined]
    assert not watch._available()
    other = shared_runtime.create_db_cluster("plain")
    assert shared_runtime._home.service.find("plain").watch._available()  # type: ignore[attr-defined]
    with other.connect() as conn, pytest.raises(psycopg.Error, match="wal_level"):
        conn.execute(CREATE, ("s", "pgoutput"))
    shared_runtime.delete_db_cluster("plain")


def test_a_slot_stays_with_a_reader_that_becomes_the_writer(
    shared_runtime: Runtime, decoded: ClusterHandle, slot: str
) -> None:
    shared_runtime.failover_db_cluster("log", READER)
    with decoded.connect(autocommit=True) as conn:
        conn.execute("insert into t values (7001)")
        assert any("7001" in each for each in inserted(conn, slot))
    wait_until(
        lambda: all(each.db_instance_status == "available" for each in decoded.instances), 60
    )
    shared_runtime.failover_db_cluster("log", WRITER)
    wait_until(
        lambda: all(each.db_instance_status == "available" for each in decoded.instances), 60
    )
