"""Roles and databases whose names are no UTF-8, but bytes in the encoding of some database."""

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.engine.postmaster import superuser_connection


@pytest.fixture(scope="module")
def named(shared_runtime: Runtime) -> ClusterHandle:
    cluster = shared_runtime.create_db_cluster("named")
    with cluster.connect(autocommit=True) as conn:
        for encoding in ("SQL_ASCII", "LATIN1"):
            made = f"create database in_{encoding} encoding '{encoding}' locale 'C'"
            conn.execute(f"{made} template template0".encode())
    in_bytes(
        cluster,
        "in_sql_ascii",
        b'create role "\xff\xfe" login createdb',
        b'create database "\xff"',
        b'alter role "\xff\xfe" set synchronous_commit = off',
        b'alter role postgres in database "\xff" set statement_timeout = 1',
        b'alter database "\xff" set synchronous_commit = off',
        b'grant rds_iam to "\xff\xfe"',
        b'alter role rds_iam rename to "\xfd"',
    )
    in_bytes(cluster, "in_latin1", b'create role "caf\xe9" login')
    return cluster


def in_bytes(cluster: ClusterHandle, database: str, *statements: bytes) -> None:
    with cluster.connect(dbname=database, autocommit=True) as conn:
        conn.execute(
            "select set_config('client_encoding', current_setting('server_encoding'), false)"
        )
        for statement in statements:
            done = conn.pgconn.exec_(statement)
            assert not done.error_message, done.get_error_message()


def answers(cluster: ClusterHandle) -> bool:
    with cluster.connect(user="borealis_reader") as reader, cluster.connect() as master:
        return reader.execute("select 1").fetchone() == master.execute("select 1").fetchone()


def test_a_cluster_with_them_pauses_and_wakes(
    shared_runtime: Runtime, named: ClusterHandle
) -> None:
    shared_runtime.pause_db_cluster("named")
    assert answers(named)
    shared_runtime.stop_db_cluster("named")
    shared_runtime.start_db_cluster("named")
    assert answers(named)


def test_it_fails_over_and_is_made_again(shared_runtime: Runtime, named: ClusterHandle) -> None:
    shared_runtime.failover_db_cluster("named")
    assert answers(named)
    shared_runtime.lose_compute("named")
    assert answers(named)


def test_the_runtimes_own_role_has_its_name_back(
    shared_runtime: Runtime, named: ClusterHandle
) -> None:
    shared_runtime.pause_db_cluster("named")
    with named.connect() as conn:
        found = conn.execute("select 1 from pg_catalog.pg_roles where rolname = 'rds_iam'")
        assert found.fetchone() == (1,)
    said = [each.message for each in shared_runtime.describe_events("named")]
    assert r"role '\udcfd' is 'rds_iam' now: it is the runtime's" in said


def test_settings_of_such_a_database_are_reset(
    shared_runtime: Runtime, named: ClusterHandle
) -> None:
    shared_runtime.modify_db_cluster("named", reset_settings=True)
    with named.connect() as conn:
        left = conn.execute(
            "select count(*) from pg_catalog.pg_db_role_setting s join pg_catalog.pg_database d "
            "on d.oid = s.setdatabase where octet_length(d.datname::text) = 1"
        ).fetchone()
    assert left == (0,)


def test_what_a_superuser_gave_such_a_role_is_taken_back(
    shared_runtime: Runtime, named: ClusterHandle
) -> None:
    hosted: HostedCluster = shared_runtime._home.service._runtime.clusters[named.id]  # type: ignore[attr-defined]
    named.connect().close()
    with superuser_connection(hosted.writer.servers.as_writer._postmaster, "rdsadmin") as conn:
        conn.execute(
            "do $$ declare r text; d text; begin "
            "select quote_ident(rolname) into r from pg_authid "
            " where rolname::bytea = '\\xfffe'; "
            "select quote_ident(datname) into d from pg_database where datname::bytea = '\\xff'; "
            "execute format('alter role %s superuser', r); "
            "execute format('grant pg_read_server_files to %s', r); "
            "execute format('grant rds_superuser to %s with admin option', r); "
            "execute format('grant set on parameter log_statement to %s', r); "
            "execute format('alter role rdsadmin in database %s set search_path = evil', d); "
            "end $$"
        )
    shared_runtime.pause_db_cluster("named")
    with named.connect() as conn:
        held = conn.execute(
            "select r.rolsuper, m.roleid::regrole::text, m.admin_option from pg_catalog.pg_roles r "
            "join pg_catalog.pg_auth_members m on m.member = r.oid "
            "where octet_length(r.rolname::text) = 2 order by 2"
        ).fetchall()
        assert held == [(False, "rds_iam", False), (False, "rds_superuser", False)]


def test_what_a_superuser_gave_on_a_setting_of_such_a_name_is_taken_back(
    shared_runtime: Runtime, named: ClusterHandle
) -> None:
    hosted: HostedCluster = shared_runtime._home.service._runtime.clusters[named.id]  # type: ignore[attr-defined]
    named.connect().close()
    postmaster = hosted.writer.servers.as_writer._postmaster
    with superuser_connection(postmaster, "in_sql_ascii") as conn:
        conn.execute("set client_encoding = 'SQL_ASCII'")
        for whom in (b"public", b'"\xff\xfe"'):
            done = conn.pgconn.exec_(b'grant set on parameter "own.caf\xe9" to ' + whom)
            assert not done.error_message, done.get_error_message()
        conn.execute("grant set on parameter log_duration to public")
    shared_runtime.pause_db_cluster("named")
    assert answers(named)
    with superuser_connection(postmaster, "rdsadmin") as conn:
        assert conn.execute("select count(*) from pg_parameter_acl").fetchone() == (0,)
    said = [each.message for each in shared_runtime.describe_events("named")]
    assert r"everybody had rights on the server's setting 'own.caf\udce9': revoked" in said


def test_a_name_that_the_runtime_would_give_may_be_taken(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("squatted")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("alter role rds_iam rename to gone")
        conn.execute("create role rds_iam")
        found = conn.execute("select oid from pg_roles where rolname = 'rds_iam'").fetchone()
        assert found is not None
        conn.execute(f"create role rds_iam_{found[0]}; create role rds_iam_{found[0]}_1".encode())
    shared_runtime.pause_db_cluster("squatted")
    assert answers(cluster)
