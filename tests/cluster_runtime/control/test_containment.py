"""No SQL that a cluster user can send reaches the host (invariant 5)."""

from collections.abc import Iterator

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from tests.cluster_runtime.conftest import connect_with_password

HOSTILE = [
    "copy (select 1) to program 'id'",
    "copy t from program 'id'",
    "copy (select 1) to '/tmp/borealis-escaped'",
    "copy t from '/etc/passwd'",
    "select pg_read_file('/etc/passwd')",
    "select pg_read_file('postgresql.conf')",
    "select pg_read_binary_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select pg_stat_file('/etc/passwd')",
    "select * from pg_ls_waldir()",
    "select * from pg_ls_logdir()",
    "select pg_current_logfile()",
    "select lo_import('/etc/passwd')",
    "select lo_export(1, '/tmp/borealis-escaped')",
    "create extension dblink",
    "create extension postgres_fdw",
    "create extension file_fdw",
    "create extension plpython3u",
    "create extension adminpack",
    "create extension pageinspect",
    "create extension amcheck",
    "alter system set archive_command = 'id'",
    "alter system reset all",
    "select pg_reload_conf()",
    "select pg_rotate_logfile()",
    "set role rdsadmin",
    "set session authorization rdsadmin",
    "grant rdsadmin to postgres",
    "grant pg_execute_server_program to postgres",
    "grant pg_read_server_files to postgres",
    "grant pg_write_server_files to postgres",
    "grant pg_read_all_data to postgres",
    "grant pg_create_subscription to postgres",
    "create role intruder superuser",
    "create role intruder replication",
    "create role intruder bypassrls",
    "alter role postgres superuser",
    "alter role postgres replication",
    "alter role rdsadmin password 'x'",
    "alter role rdsadmin rename to other",
    "drop role rdsadmin",
    "create role intruder in role rdsadmin",
    "create function f() returns int language c as '/lib/x86_64-linux-gnu/libc.so.6', 'system'",
    "create function f() returns int language internal as 'pg_read_file'",
    "load '/lib/x86_64-linux-gnu/libc.so.6'",
    "set session_preload_libraries = 'x'",
    "set shared_preload_libraries = 'x'",
    "set dynamic_library_path = '/tmp'",
    "set extension_control_path = '/tmp'",
    "alter role postgres set session_preload_libraries = 'x'",
    "alter database postgres set session_preload_libraries = 'x'",
    "set log_directory = '/tmp'",
    "set log_statement = 'all'",
    "set log_min_error_statement = 'error'",
    "create tablespace escaped location '/tmp'",
    "create language plpython3u",
    "create event trigger e on ddl_command_start execute function f()",
    "create subscription s connection 'host=127.0.0.1' publication p",
    "select pg_create_physical_replication_slot('s')",
    "select pg_create_logical_replication_slot('s', 'pgoutput')",
    "select pg_switch_wal()",
    "select pg_promote()",
    "select pg_backup_start('x')",
    "select * from pg_authid",
    "select * from pg_shadow",
    "update pg_authid set rolsuper = true",
    "update pg_proc set prolang = 13",
    "select pg_hba_file_rules()",
    "select * from pg_file_settings",
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'rdsadmin'",
]


@pytest.fixture(scope="module")
def master(shared_runtime: Runtime) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    cluster = shared_runtime.create_db_cluster("fortress")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table t (x text)")
        yield conn


@pytest.mark.parametrize("statement", HOSTILE)
def test_the_master_user_is_refused(
    master: psycopg.Connection[tuple[object, ...]], statement: str
) -> None:
    with pytest.raises(psycopg.Error) as caught:
        master.execute(statement.encode())
    assert caught.value.sqlstate in REFUSALS, (caught.value.sqlstate, str(caught.value))


REFUSALS = {
    "42501": "insufficient privilege",
    "58P01": "no such library or extension",
    "0A000": "feature not supported: extension not available",
    "42704": "no such language",
    "55P02": "parameter cannot be changed now",
    "42809": "wrong object type",
}


def test_the_master_user_is_no_superuser_and_sees_no_host_path(
    master: psycopg.Connection[tuple[object, ...]],
) -> None:
    assert master.execute("show is_superuser").fetchone() == ("off",)
    for name in ("data_directory", "hba_file", "config_file", "unix_socket_directories"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            master.execute("select current_setting(%s)", [name])


@pytest.mark.parametrize(
    "extension",
    [
        "pg_trgm",
        "hstore",
        "citext",
        "ltree",
        "btree_gin",
        "btree_gist",
        "unaccent",
        "fuzzystrmatch",
    ],
)
def test_trusted_extensions_install(
    master: psycopg.Connection[tuple[object, ...]], extension: str
) -> None:
    master.execute(f'create extension "{extension}"'.encode())


def test_the_master_user_makes_roles_databases_and_uses_vector_in_them(
    shared_runtime: Runtime, master: psycopg.Connection[tuple[object, ...]]
) -> None:
    master.execute("create role app login password 'app-password-1' createdb")
    master.execute("create role team; grant team to app; grant create on schema public to team")
    for number, template in enumerate(("template0", "template1")):
        master.execute(f"create database apps{number} template {template}".encode())
        with shared_runtime.cluster("fortress").connect(dbname=f"apps{number}") as conn:
            conn.execute("create extension vector")
            conn.execute("create table e (v vector(3)); insert into e values ('[1,2,3]')")


def test_a_role_of_the_masters_making_gets_in_with_a_password_or_a_token(
    shared_runtime: Runtime, master: psycopg.Connection[tuple[object, ...]]
) -> None:
    cluster = shared_runtime.cluster("fortress")
    master.execute("create role worker login password 'worker-password'")
    with connect_with_password(cluster, "worker", "worker-password") as conn:
        assert conn.execute("select current_user").fetchone() == ("worker",)
    with pytest.raises(psycopg.OperationalError):
        cluster.connect(user="worker")
    master.execute("grant rds_iam to worker")
    with cluster.connect(user="worker") as conn:
        assert conn.execute("select current_user").fetchone() == ("worker",)


def test_rdsadmin_does_not_pass_the_gateway(shared_runtime: Runtime) -> None:
    cluster: ClusterHandle = shared_runtime.create_db_cluster("walled")
    for user in ("rdsadmin", "rds_superuser", "rds_iam", "pg_read_server_files"):
        with pytest.raises(psycopg.OperationalError):
            cluster.connect(user=user)


def test_the_reader_role_reads_what_the_master_makes_and_writes_nothing(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("library")
    with cluster.connect() as conn:
        conn.execute("create schema shelf; create table shelf.book as select 1 as id")
    with cluster.connect(user="borealis_reader", autocommit=True) as conn:
        assert conn.execute("select id from shelf.book").fetchone() == (1,)
        conn.execute("set default_transaction_read_only = off")
        for statement in (
            "insert into shelf.book values (2)",
            "create table public.mine (x int)",
            "drop table shelf.book",
            "select * from pg_authid",
            "set role postgres",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
