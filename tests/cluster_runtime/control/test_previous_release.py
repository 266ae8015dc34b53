"""A state directory of the previous release opens with all its rows, and is brought up safely."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime import Runtime
from cluster_runtime.control.admin import AdminConnection, Statement
from cluster_runtime.control.records.catalog import MIGRATIONS
from cluster_runtime.errors import EngineError
from tests import previous_release
from tests.places import reachable_folder

pytestmark = pytest.mark.long  # test_last_release opens what a later release has left

MAKE = """
import sys
import psycopg
from cluster_runtime import Runtime

with Runtime.open(sys.argv[1], warm_pool_size=0) as runtime:
    for name in ("honest", "pwned", "paused", "renamed"):
        cluster = runtime.create_db_cluster(name, database_name="library")
        with cluster.connect(autocommit=True) as conn:
            conn.execute("create table book (id int primary key, title text)")
            conn.execute("insert into book select n, 'title ' || n from generate_series(1, 500) n")
            conn.execute("create role clerk login password 'a-password-for-clerks'")
            conn.execute("grant rds_superuser to clerk")
        with cluster.connect(dbname="postgres", autocommit=True) as conn:
            conn.execute("create table kept as select 1 as x")
            conn.execute("alter database postgres set search_path = evil, public")
            conn.execute("grant rds_superuser to borealis_reader")
            conn.execute("create database rdsadmin")
            conn.execute("create role rds_grantor")
            conn.execute("create database shut with allow_connections false")
    with runtime.cluster("renamed").connect(autocommit=True) as conn:
        conn.execute("alter role clerk createrole")
        conn.execute("alter role rds_iam rename to gone")
    # As if a trap had fired: what somebody does who is the superuser for a moment.
    service = runtime._service
    hosted = service.find("pwned")
    sockets = hosted.compute._instance.socket_directory
    where = f"host={sockets} user=rdsadmin dbname=library"
    with psycopg.connect(where, autocommit=True) as conn:
        for statement in (
            "create function pg_catalog.aurora_version() returns text return 'planted'",
            "alter function pg_catalog.aurora_version() owner to postgres",
            "grant pg_execute_server_program to postgres",
            "grant rdsadmin to postgres",
            "alter role postgres superuser",
            "create role backdoor superuser login password 'a-password-for-thieves'",
            "alter role all set session_preload_libraries = 'nothing-of-this-name'",
            "alter role rdsadmin set search_path = evil",
            "alter system set archive_command = 'touch /tmp/borealis-escaped'",
            "grant alter system on parameter archive_command to postgres",
            "create function grab() returns void language plpgsql security definer as "
            "$$ begin execute 'alter role postgres superuser'; end $$",
            "create view passwords as select * from pg_authid",
            "create function native(text) returns text language internal as 'upper'",
            "create function fire() returns event_trigger language plpgsql as "
            "$$ begin execute 'alter role postgres superuser'; end $$",
            "create event trigger e on ddl_command_end execute function fire()",
            "create event trigger l on login execute function fire()",
            "create extension pageinspect",
        ):
            conn.execute(statement)
    runtime.pause_db_cluster("paused")
"""

OPEN = """
import sys
from cluster_runtime import Runtime

Runtime.open(sys.argv[1], warm_pool_size=0)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = reachable_folder()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def release(folder: Path) -> Path:
    return previous_release.checked_out(folder)


@pytest.fixture(scope="module")
def state(folder: Path, release: Path) -> Path:
    made = previous_release.run(release, MAKE, str(folder / "state"))
    assert made.returncode == 0, made.stderr
    subprocess.run(["cp", "-a", folder / "state", folder / "untouched"], check=True)
    return folder / "state"


@pytest.fixture(scope="module")
def runtime(folder: Path, state: Path) -> Iterator[Runtime]:
    with Runtime.open(folder / "state", warm_pool_size=0) as opened:
        yield opened


@pytest.mark.parametrize("name", ["honest", "pwned", "paused", "renamed"])
def test_a_cluster_of_the_previous_release_opens_with_all_rows(runtime: Runtime, name: str) -> None:
    cluster = runtime.cluster(name)
    with cluster.connect() as conn:
        assert conn.execute("select count(*), max(title) from book").fetchone() == (
            500,
            "title 99",
        )
    with cluster.connect(dbname="postgres") as conn:
        assert conn.execute("select x from public.kept").fetchone() == (1,)
        found = conn.execute("select datname from pg_database where datname like 'rdsadmin%'")
        assert len(found.fetchall()) == 2
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        cluster.connect(dbname="rdsadmin")
    with cluster.connect(user="borealis_reader") as conn:
        assert conn.execute("select count(*) from book").fetchone() == (500,)
        assert conn.execute("show track_activities").fetchone() == ("off",)


@pytest.mark.parametrize("name", ["honest", "pwned", "paused", "renamed"])
def test_rights_that_the_recipe_does_not_give_are_gone_and_reported(
    runtime: Runtime, name: str
) -> None:
    cluster = runtime.cluster(name)
    with cluster.connect(autocommit=True) as conn:
        assert conn.execute("show is_superuser").fetchone() == ("off",)
        held = conn.execute(
            "select g.rolname, m.admin_option from pg_auth_members m "
            "join pg_roles g on g.oid = m.roleid join pg_roles r on r.oid = m.member "
            "where r.rolname in ('postgres', 'borealis_reader', 'clerk') "
            "and g.rolname ~ '^(rds|pg)' and g.rolname !~ '^rds_grantor_' "
            "order by 1, 2"
        ).fetchall()
        assert held == [
            ("rds_iam", False),
            ("rds_iam", False),
            ("rds_superuser", False),
            ("rds_superuser", False),
        ]
        for statement in (
            "copy book to program 'id'",
            "grant rds_superuser to borealis_reader",
            "alter system set archive_command = 'id'",
            "create role thief superuser",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
        conn.execute("select rds_grant_superuser('clerk')")
    messages = [event.message for event in runtime.describe_events(name)]
    assert any("database 'rdsadmin' is 'rdsadmin_" in message for message in messages), messages
    assert any("brought up to format 2" in message for message in messages)


@pytest.mark.parametrize("name", ["honest", "pwned", "paused", "renamed"])
def test_what_drivers_ask_is_there_in_every_database(runtime: Runtime, name: str) -> None:
    cluster = runtime.cluster(name)
    with cluster.connect(dbname="postgres", autocommit=True) as conn:
        conn.execute("create database fresh template template0")
        conn.execute("alter database shut with allow_connections true")
        closed = "select datname from pg_database where not datallowconn"
        assert conn.execute(closed.encode()).fetchall() == [("template0",)]
    for database in ("library", "postgres", "fresh", "shut"):
        with cluster.connect(dbname=database) as conn:
            said = conn.execute("select aurora_db_instance_identifier(), aurora_version()")
            assert said.fetchone() == (f"{name}-instance-1", cluster.describe().engine_version)
            owners = conn.execute(
                "select distinct proowner::regrole::text from pg_proc where proname like 'aurora%'"
            )
            assert owners.fetchall() == [("rdsadmin",)]


def test_what_a_superuser_left_behind_acts_for_nobody(runtime: Runtime) -> None:
    cluster = runtime.cluster("pwned")
    with cluster.connect(autocommit=True) as conn:
        for statement in ("select grab()", "select * from passwords"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
        with pytest.raises(psycopg.errors.UndefinedFunction):
            conn.execute("select native('x')")
        assert conn.execute("select count(*) from pg_event_trigger").fetchone() == (0,)
        assert conn.execute(
            "select count(*) from pg_extension where extname = 'pageinspect'"
        ).fetchone() == (0,)
        assert conn.execute("show archive_command").fetchone() in (("",), ("(disabled)",))
    with pytest.raises(psycopg.OperationalError):
        cluster.connect(user="rdsadmin")
    messages = "\n".join(event.message for event in runtime.describe_events("pwned"))
    for part in (
        "postgresql.auto.conf",
        "'postgres' was superuser",
        "'backdoor' was superuser",
        "'pg_execute_server_program'",
        "a member of 'rdsadmin'",
        "settings of role all",
        "'archive_command'",
        "grab()",
        "passwords",
        "native(text)",
        "event trigger",
        "pageinspect",
    ):
        assert part in messages, (part, messages)


def test_an_upgrade_that_ends_at_any_step_is_finished_by_the_next_wake(
    folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = AdminConnection.execute
    left = 0
    admin = None

    async def fails_in_time(
        self: AdminConnection, statement: Statement, *values: object
    ) -> list[tuple[Any, ...]]:
        if self is not admin:
            return await execute(self, statement, *values)
        nonlocal left
        left -= 1
        if left == 0:
            raise EngineError("the host was killed here")
        return await execute(self, statement, *values)

    with Runtime.open(folder / "untouched", warm_pool_size=0) as runtime:
        cluster = runtime.cluster("pwned")
        admin = runtime._home.service.find("pwned").writer.admin
        monkeypatch.setattr(AdminConnection, "execute", fails_in_time)
        for step in range(1, 100, 4):
            left = step
            try:
                conn = cluster.connect()
            except psycopg.OperationalError:
                continue
            with conn:
                assert conn.execute("select count(*) from book").fetchone() == (500,)
                assert conn.execute("show is_superuser").fetchone() == ("off",)
            break
        assert 10 < step < 60
        monkeypatch.undo()
        cluster.connect(user="borealis_reader").close()


def test_the_previous_release_refuses_what_this_one_has_opened(
    folder: Path, release: Path, runtime: Runtime
) -> None:
    runtime.create_db_cluster("newer")
    copied = folder / "copied"
    copied.mkdir()
    for part in (folder / "state").glob("catalog.sqlite*"):
        shutil.copy(part, copied)
    refused = previous_release.run(release, OPEN, str(copied))
    assert refused.returncode != 0
    assert f"is of version {len(MIGRATIONS)}, this release knows up to 1" in refused.stderr
