"""What drivers for Aurora ask of a cluster, in every database, and that no tenant shapes it."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.access.functions import NAMES
from tests.waiting import wait_until

Connection = psycopg.Connection[Any]

TOPOLOGY = (
    "select server_id, case when session_id operator(pg_catalog.=) 'MASTER_SESSION_ID' then true "
    "else false end, cpu, coalesce(replica_lag_in_msec, 0), last_update_timestamp "
    "from pg_catalog.aurora_replica_status() "
    "where extract(epoch from(pg_catalog.now() operator(pg_catalog.-) last_update_timestamp)) "
    "operator(pg_catalog.<=) 300 or session_id operator(pg_catalog.=) 'MASTER_SESSION_ID' "
    "or last_update_timestamp is null"
)
"""As the AWS Advanced wrappers ask it."""

EXTENSIONS = (
    "select setting from pg_catalog.pg_settings where name operator(pg_catalog.=) 'rds.extensions'"
)


@pytest.fixture(scope="module")
def notes(shared_runtime: Runtime) -> ClusterHandle:
    return shared_runtime.create_db_cluster("notes")


@pytest.fixture(scope="module")
def master(notes: ClusterHandle) -> Iterator[Connection]:
    with notes.connect(autocommit=True) as conn:
        for name, template in (("of_one", "template1"), ("of_zero", "template0")):
            conn.execute(f"create database {name} template {template}".encode())
        yield conn


@pytest.mark.parametrize("database", ["postgres", "of_one", "of_zero"])
def test_every_database_has_the_functions(
    notes: ClusterHandle, master: Connection, database: str
) -> None:
    with notes.connect(dbname=database) as conn:
        assert conn.execute("select aurora_db_instance_identifier()").fetchone() == (
            "notes-instance-1",
        )
        assert conn.execute("select aurora_version()").fetchone() == (
            notes.describe().engine_version,
        )
        assert conn.execute(TOPOLOGY.encode()).fetchall() == [
            ("notes-instance-1", True, 0.0, 0.0, None)
        ]
        assert conn.execute("select * from aurora_global_db_status()").fetchall() == []
        assert conn.execute("select * from aurora_global_db_instance_status()").fetchall() == []
        (extensions,) = conn.execute(EXTENSIONS.encode()).fetchone() or ("",)
        assert {"aurora_stat_utils", "vector", "hstore"} <= set(extensions.split(", "))


def test_the_writer_tells_what_the_volume_has_made_durable(master: Connection) -> None:
    master.execute("create table written as select 1")
    durable, written = master.execute(
        "select durable_lsn, current_read_lsn from aurora_replica_status()"
    ).fetchone() or (0, 0)
    before = master.execute("select '0/0'::pg_lsn + %s, '0/0'::pg_lsn + %s", [durable, written])
    assert 0 < durable <= written
    assert before.fetchone() is not None


def test_every_extension_that_is_listed_can_be_created(
    notes: ClusterHandle, master: Connection
) -> None:
    (listed,) = master.execute(EXTENSIONS.encode()).fetchone() or ("",)
    trusted = master.execute(
        "select distinct name from pg_available_extension_versions where trusted"
    )
    assert {name for (name,) in trusted} == set(listed.split(", ")) - {"aurora_stat_utils"}


def test_tls_that_is_not_demanded_any_more_is_told_at_once(
    shared_runtime: Runtime, master: Connection
) -> None:
    query = "select setting from pg_settings where name = 'rds.force_ssl'"
    assert master.execute(query.encode()).fetchone() == ("on",)
    shared_runtime.modify_db_cluster("notes", require_tls=False)
    assert master.execute(query.encode()).fetchone() == ("off",)
    wait_until(lambda: master.execute("show rds.force_ssl").fetchone() == ("off",))
    shared_runtime.modify_db_cluster("notes", require_tls=True)
    assert master.execute(query.encode()).fetchone() == ("on",)
    wait_until(lambda: master.execute("show rds.force_ssl").fetchone() == ("on",))


def test_pg_settings_is_the_same_but_for_these_rows_and_sets(master: Connection) -> None:
    more = master.execute(
        "select name from pg_settings except select name from pg_show_all_settings()"
    )
    assert {name for (name,) in more} == {"rds.extensions", "rds.force_ssl"}
    master.execute("update pg_settings set setting = '7MB' where name = 'work_mem'")
    assert master.execute("show work_mem").fetchone() == ("7MB",)
    master.execute("reset work_mem")


ATTEMPTS = [
    *(f"drop function pg_catalog.{name}" for name in NAMES),
    *(f"alter function pg_catalog.{name} owner to postgres" for name in NAMES),
    *(f"revoke execute on function pg_catalog.{name} from public" for name in NAMES),
    "create or replace function pg_catalog.aurora_version() returns text return 'x'",
    "create function pg_catalog.aurora_replica_status(text) returns text return 'x'",
    "create or replace view pg_catalog.pg_settings as select 1",
    "alter view pg_catalog.pg_settings owner to postgres",
    "select pg_read_file('borealis.instance')",
    "alter function pg_catalog.aurora_version() set search_path = evil",
]
REFUSALS = {"42501", "42809"}


@pytest.mark.parametrize("statement", ATTEMPTS)
def test_no_tenant_alters_them(master: Connection, statement: str) -> None:
    if statement.startswith("revoke"):
        master.execute(statement.encode())  # a warning: it had nothing to revoke
        assert master.execute("select aurora_version()").fetchone() is not None
        return
    with pytest.raises(psycopg.Error) as caught:
        master.execute(statement.encode())
    assert caught.value.sqlstate in REFUSALS, (caught.value.sqlstate, str(caught.value))


def test_no_tenant_shadows_them(master: Connection) -> None:
    """Names, settings and operators of a tenant's own change nothing of what is told."""
    for statement in (
        "create schema evil",
        "create function evil.aurora_db_instance_identifier() returns text return 'evil'",
        "create function evil.pg_read_file(text, boolean) returns text return '{}'",
        "create function evil.arrow(jsonb, text) returns text return 'evil'",
        "create operator evil.->> (leftarg = jsonb, rightarg = text, function = evil.arrow)",
        "set search_path = evil, pg_catalog",
        "set rds.extensions = 'evil'",
    ):
        master.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        master.execute("alter database postgres set rds.force_ssl = 'evil'")
    asked = "select pg_catalog.aurora_db_instance_identifier()"
    assert master.execute(asked.encode()).fetchone() == ("notes-instance-1",)
    (extensions,) = master.execute(EXTENSIONS.encode()).fetchone() or ("",)
    assert "aurora_stat_utils" in extensions
    master.execute("reset search_path")


def test_they_are_told_to_every_role_and_never_dumped(
    notes: ClusterHandle, master: Connection
) -> None:
    with notes.connect(user="borealis_reader") as conn:
        assert conn.execute("select count(*) from aurora_replica_status()").fetchone() == (1,)
    changed = master.execute(
        "select proname from pg_proc where proname = any(%s) "
        "and proacl <> pg_catalog.acldefault('f', proowner) and not exists "
        "(select from pg_init_privs i where i.objoid = pg_proc.oid and i.initprivs = proacl)",
        [list(NAMES)],
    )
    assert changed.fetchall() == []


def test_an_instance_keeps_its_name_through_renames_pauses_and_losses(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("before")
    asked = "select aurora_db_instance_identifier(), (select array_agg(server_id) from "
    asked += "aurora_replica_status())"
    own = ("before-instance-1", ["before-instance-1"])
    for happen in (
        lambda: None,
        lambda: shared_runtime.modify_db_cluster("before", new_db_cluster_identifier="after"),
        lambda: shared_runtime.pause_db_cluster("after"),
        lambda: shared_runtime.lose_compute("after"),
        lambda: shared_runtime.failover_db_cluster("after"),
    ):
        happen()
        with cluster.connect() as conn:
            assert conn.execute(asked.encode()).fetchone() == own
