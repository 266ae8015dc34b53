"""No session of the runtime's runs where a tenant shapes names and settings (invariant 9)."""

import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, LiteralString, cast

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.installation import find_installation
from tests.cluster_runtime.conftest import connect_with_password
from tests.cluster_runtime.control import traps

PASSWORD = "a-password-of-its-own"


@pytest.fixture(scope="module")
def trapped(shared_runtime: Runtime) -> Iterator[ClusterHandle]:
    cluster = shared_runtime.create_db_cluster("trapped")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create database other")
        conn.execute("create role guest login password 'a-password-for-guests'")
        for name, value in traps.SETTINGS.items():
            for where in ("database postgres", "database other", "role postgres"):
                conn.execute(f"alter {where} set {name} = {value}".encode())
        for statement in traps.statements():
            conn.execute(statement)
    with cluster.connect(dbname="other", autocommit=True) as conn:
        conn.execute("reset search_path")
        for statement in traps.statements():
            conn.execute(statement)
    return cluster


def pause(runtime: Runtime) -> None:
    runtime.pause_db_cluster("trapped")


def stop_and_start(runtime: Runtime) -> None:
    runtime.stop_db_cluster("trapped")
    runtime.start_db_cluster("trapped")


def failover(runtime: Runtime) -> None:
    runtime.failover_db_cluster("trapped")


def rebuild(runtime: Runtime) -> None:
    runtime.lose_compute("trapped")


def rename(runtime: Runtime) -> None:
    runtime.modify_db_cluster("trapped", new_db_cluster_identifier="trapped-too")
    runtime.modify_db_cluster("trapped-too", new_db_cluster_identifier="trapped")


def change_password(runtime: Runtime) -> None:
    runtime.modify_db_cluster("trapped", master_user_password=PASSWORD)


def reset_settings(runtime: Runtime) -> None:
    runtime.modify_db_cluster("trapped", reset_settings=True)
    with runtime.cluster("trapped").connect(autocommit=True) as conn:
        conn.execute("alter database postgres set search_path = evil, pg_catalog, public")


def a_zone_fails(runtime: Runtime) -> None:
    runtime.inject_fault("trapped", "az:a", "crash")
    runtime.heal_fault("trapped")


def extensions(runtime: Runtime) -> None:
    with runtime.cluster("trapped").connect(autocommit=True) as conn:
        for name in ("pg_trgm", "ltree", "btree_gist", "pg_stat_statements", "unaccent"):
            conn.execute(f"create extension {name} schema evil".encode())
            conn.execute(f"drop extension {name}".encode())


def a_role_logs_in(runtime: Runtime) -> None:
    cluster = runtime.cluster("trapped")
    with connect_with_password(cluster, "guest", "a-password-for-guests"):
        pass
    with cluster.connect(user="borealis_reader"):
        pass


WALK: tuple[Callable[[Runtime], None], ...] = (
    pause,
    stop_and_start,
    failover,
    rebuild,
    rename,
    change_password,
    a_zone_fails,
    a_role_logs_in,
    extensions,
    reset_settings,
)

RIGHTS = """
select rolname, rolsuper, rolreplication, rolbypassrls,
       array_agg(m.roleid::regrole::text order by m.roleid)
  from pg_catalog.pg_roles r left join pg_catalog.pg_auth_members m on m.member = r.oid
 where rolname not like 'pg\\_%' group by 1, 2, 3, 4 order by 1
"""


def rights(conn: psycopg.Connection[Any]) -> list[Any]:
    conn.execute("set search_path = pg_catalog; set quote_all_identifiers = off")
    return conn.execute(RIGHTS).fetchall()


@pytest.mark.parametrize("step", WALK)
def test_no_trap_springs_with_a_right_that_its_maker_lacks(
    shared_runtime: Runtime, trapped: ClusterHandle, step: Callable[[Runtime], None]
) -> None:
    with trapped.connect(autocommit=True) as conn:
        before = rights(conn)
        conn.execute("delete from evil.sprung")
    step(shared_runtime)
    for database in ("postgres", "other"):
        with trapped.connect(dbname=database, autocommit=True) as conn:
            assert rights(conn) == before
            assert conn.execute(
                "select count(*) from evil.sprung where who = 'rdsadmin'"
            ).fetchone() == (0,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("copy evil.sprung from program 'id'")


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param(traps.LOCKOUTS, id="all at once"),
        *(pytest.param((each,), id=each, marks=pytest.mark.long) for each in traps.LOCKOUTS),
    ],
)
def test_a_tenant_who_locks_himself_out_locks_nobody_else_out_and_gets_back_in(
    shared_runtime: Runtime, statements: tuple[LiteralString, ...]
) -> None:
    cluster = lockable(shared_runtime, "locked-out")
    with cluster.connect(autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement)
    shared_runtime.pause_db_cluster("locked-out")
    shared_runtime.modify_db_cluster("locked-out", master_user_password=PASSWORD)
    shared_runtime.failover_db_cluster("locked-out")
    shared_runtime.modify_db_cluster("locked-out", reset_settings=True)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table proof (x int); drop table proof")
        assert conn.execute("select current_user").fetchone() == ("postgres",)
    messages = [event.message for event in shared_runtime.describe_events("locked-out")]
    assert "settings of its databases and of its master user were reset" in messages


def lockable(runtime: Runtime, name: str = "lockable") -> ClusterHandle:
    found = {each.db_cluster_identifier for each in runtime.describe_db_clusters()}
    return runtime.cluster(name) if name in found else runtime.create_db_cluster(name)


def test_a_database_that_refuses_connections_or_is_gone_comes_back(
    shared_runtime: Runtime,
) -> None:
    cluster = lockable(shared_runtime)
    for statement in ("alter database postgres allow_connections false", "drop database postgres"):
        with cluster.connect(autocommit=True) as conn:
            conn.execute("drop database if exists refuge")
            conn.execute("create database refuge")
        with cluster.connect(dbname="refuge", autocommit=True) as conn:
            conn.execute(cast(LiteralString, statement))
        shared_runtime.modify_db_cluster("lockable", reset_settings=True)
        with cluster.connect() as conn:
            assert conn.execute("select current_database()").fetchone() == ("postgres",)


@pytest.mark.parametrize(
    "statement",
    [
        "drop database rdsadmin",
        "alter database rdsadmin rename to mine",
        "alter database rdsadmin owner to postgres",
        "alter database rdsadmin set search_path = evil",
        "alter database rdsadmin allow_connections false",
        "alter database rdsadmin connection limit 0",
        "alter role rdsadmin in database rdsadmin set search_path = evil",
        "alter role rdsadmin set search_path = evil",
        "alter role all set search_path = evil",
        "create database copy template rdsadmin",
        "grant connect on database rdsadmin to postgres",
        "alter database template1 set search_path = evil",
        "alter database template1 rename to mine",
        "drop database template1",
        "grant rds_superuser to borealis_reader",
        "grant rds_superuser to guest_of_no_name",
        "select rds_grant_superuser('borealis_reader')",
        "select rds_grant_superuser('rds_iam')",
        "select rds_grant_superuser('rdsadmin')",
        "select rds_grant_superuser('pg_monitor')",
        "grant rds_grantor to postgres",
        "set role rds_grantor",
        "alter role rds_superuser rename to mine",
        "drop role rds_superuser",
        "drop role rds_grantor",
        "drop role borealis_reader",
        "alter role borealis_reader set track_activities = on",
        "alter role borealis_reader reset all",
        "alter function pg_catalog.rds_grant_superuser(name) owner to postgres",
        "create or replace function pg_catalog.rds_grant_superuser(grantee name) returns void "
        "language sql as 'select'",
        "alter system set search_path = evil",
        "grant set on parameter track_activities to postgres",
    ],
)
def test_what_is_the_runtimes_is_not_the_masters(
    shared_runtime: Runtime, statement: LiteralString
) -> None:
    cluster = lockable(shared_runtime)
    with cluster.connect(autocommit=True) as conn, pytest.raises(psycopg.Error) as caught:
        conn.execute(statement)
    assert caught.value.sqlstate in ("42501", "42704", "55006", "2BP01"), str(caught.value)


@pytest.mark.parametrize("catalog", ["pg_authid", "pg_auth_members"])
def test_who_locks_the_roles_locks_nobody_out(shared_runtime: Runtime, catalog: str) -> None:
    cluster = lockable(shared_runtime)
    locking = cluster.connect()
    locking.execute(f"lock table pg_catalog.{catalog} in access exclusive mode".encode())
    with cluster.connect(user="borealis_reader") as conn:
        assert conn.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        locking.execute("select 1")


def take_locks(conn: psycopg.Connection[Any], step: int) -> None:
    """Take locks of one's own until there are none, so many at a time."""
    for first in count(step, 10 * step):
        conn.execute(
            "select count(pg_advisory_lock(i)) from generate_series(%s::bigint, %s) i",
            [first, first + step - 1],
        )


def test_who_takes_all_locks_locks_nobody_out(shared_runtime: Runtime) -> None:
    """The table of locks is shared by all sessions, and every login takes some."""
    cluster = lockable(shared_runtime)
    with cluster.connect(autocommit=True) as taker:
        for step in (1000, 1):
            with pytest.raises(psycopg.errors.OutOfMemory):
                take_locks(taker, step)
        with cluster.connect(user="borealis_reader") as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError):
            taker.execute("select 1")


def test_nobody_connects_to_the_runtimes_database(shared_runtime: Runtime) -> None:
    cluster = lockable(shared_runtime)
    for user in ("postgres", "borealis_reader"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            cluster.connect(user=user, dbname="rdsadmin")


def test_a_session_of_the_runtimes_shows_no_statement_and_takes_no_setting(
    shared_runtime: Runtime,
) -> None:
    cluster = lockable(shared_runtime)
    shared_runtime.modify_db_cluster("lockable", master_user_password=PASSWORD)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create extension if not exists pg_stat_statements")
        shared_runtime.modify_db_cluster("lockable", master_user_password=PASSWORD + "-2")
        shown = conn.execute(
            "select query from pg_stat_activity where usename = 'rdsadmin' "
            "union all select query from pg_stat_statements"
        ).fetchall()
    assert not [query for (query,) in shown if "SCRAM" in query or "rolpassword" in query]


def test_the_master_passes_rds_superuser_on_and_takes_it_back(shared_runtime: Runtime) -> None:
    cluster = lockable(shared_runtime)
    holds = "select pg_has_role('deputy', 'rds_superuser', 'usage')"
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create role deputy login password 'a-password-for-deputies'")
        conn.execute("select rds_grant_superuser('deputy')")
        assert conn.execute(holds).fetchone() == (True,)
        with connect_with_password(cluster, "deputy", "a-password-for-deputies") as deputy:
            deputy.execute("select rds_grant_superuser('deputy')")
        conn.execute("select rds_revoke_superuser('deputy')")
        assert conn.execute(holds).fetchone() == (False,)
        with (
            connect_with_password(cluster, "deputy", "a-password-for-deputies") as deputy,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            deputy.execute("select rds_grant_superuser('deputy')")


def test_a_trap_for_the_master_does_not_pass_rds_superuser_on(shared_runtime: Runtime) -> None:
    """Maintenance by the master runs a stranger's functions as that stranger."""
    cluster = lockable(shared_runtime)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create role stranger login password 'a-password-for-strangers'")
        conn.execute("create schema strange; grant all on schema strange to stranger")
        with connect_with_password(cluster, "stranger", "a-password-for-strangers") as stranger:
            stranger.execute(
                "create function strange.f(x int) returns int immutable language plpgsql as "
                "$$ begin perform rds_grant_superuser('stranger'); return x; "
                "exception when insufficient_privilege then return x; end $$;"
                "create table strange.t as select 1 as x; create index on strange.t (strange.f(x))"
            )
        for statement in ("analyze strange.t", "reindex table strange.t", "vacuum full strange.t"):
            conn.execute(cast(LiteralString, statement))
        assert conn.execute(
            "select pg_has_role('stranger', 'rds_superuser', 'member')"
        ).fetchone() == (False,)


@pytest.mark.parametrize(
    "statement",
    [
        "alter role rds_iam rename to gone",
        "alter role rds_iam rename to gone; create role rds_iam",
        "alter role rds_iam login password 'let-me-in-please'",
        "alter role rds_iam set search_path = evil",
        "drop owned by rds_iam",
        "revoke rds_iam from borealis_reader, postgres",
    ],
)
def test_what_the_master_may_do_to_rds_iam_locks_nobody_out(
    shared_runtime: Runtime, statement: LiteralString
) -> None:
    cluster = lockable(shared_runtime)
    with cluster.connect(autocommit=True) as conn:
        for each in statement.split("; "):
            conn.execute(cast(LiteralString, each))
    for user in ("postgres", "borealis_reader"):
        cluster.connect(user=user).close()
    shared_runtime.pause_db_cluster("lockable")
    for user in ("postgres", "borealis_reader"):
        with cluster.connect(user=user) as conn:
            found = conn.execute("select rolcanlogin from pg_roles where rolname = 'rds_iam'")
            assert found.fetchall() == [(False,)]


def test_rds_iam_cannot_be_dropped(shared_runtime: Runtime) -> None:
    with lockable(shared_runtime).connect(autocommit=True) as conn:
        conn.execute("drop owned by rds_iam")
        with pytest.raises(psycopg.errors.DependentObjectsStillExist):
            conn.execute("drop role rds_iam")


def test_readers_do_not_see_each_others_statements_and_the_master_sees_its_own(
    shared_runtime: Runtime,
) -> None:
    cluster = lockable(shared_runtime)
    shown = "select query from pg_stat_activity where pid <> pg_backend_pid() and query <> ''"
    with (
        cluster.connect(user="borealis_reader", autocommit=True) as one,
        cluster.connect(user="borealis_reader", autocommit=True) as two,
        cluster.connect(autocommit=True) as master,
        cluster.connect(autocommit=True) as another,
    ):
        one.execute("select 'a secret of one reader'")
        master.execute("select 'what the master asked'")
        assert not [q for (q,) in two.execute(shown) if "secret" in q or "master asked" in q]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            one.execute("set track_activities = on")
        assert [q for (q,) in another.execute(shown) if "what the master asked" in q]


def test_a_dump_of_a_tenants_database_names_nothing_of_the_runtimes(
    shared_runtime: Runtime,
) -> None:
    cluster = lockable(shared_runtime)
    shared_runtime.modify_db_cluster("lockable", require_tls=False, master_user_password=PASSWORD)
    dumped = subprocess.run(
        [
            find_installation().program("pg_dump"),
            *("-h", "127.0.0.1", "-p", str(cluster.describe().port), "-U", "postgres"),
            *("--exclude-schema", "strange", "postgres"),
        ],
        env={"PGPASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert dumped.returncode == 0, dumped.stderr
    assert "rds_" not in dumped.stdout
