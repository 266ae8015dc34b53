"""A snapshot file whose maker was the superuser of its cluster, and wrote what he liked in it."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.backup import sharing
from cluster_runtime.backup.core import pacing
from cluster_runtime.backup.vault.sealing import seal, unseal
from cluster_runtime.control.cluster import HostedCluster
from cluster_runtime.engine.postmaster import Postmaster, superuser_connection
from cluster_runtime.errors import BackupDamagedError
from tests.places import SpentFolders, reachable_folder

PLANTED = """
create function public.rise() returns text language plpgsql security definer as $$
begin execute 'alter role postgres superuser'; return 'risen'; end $$;
create function public.on_event() returns event_trigger language plpgsql as $$
begin execute 'alter role postgres superuser'; end $$;
create event trigger planted on ddl_command_end execute function public.on_event();
create table public.of_the_superuser (v int);
grant all on public.of_the_superuser to public;
alter role postgres superuser;
create role another superuser login;
alter system set archive_command = 'touch /tmp/borealis-was-here';
alter system set session_preload_libraries = '/tmp/borealis-was-here';
"""


RISE = """create function public.rise() returns text language plpgsql security definer as $$
begin execute 'alter role postgres superuser'; return 'risen'; end $$"""

ELSEWHERE = {
    "in_bytes": [RISE.replace("rise()", '"rise\xff"()')],
    "closed": [RISE],
    "template0": [RISE],
    "rdsadmin": [RISE],
    "barred": [
        "drop function pg_catalog.aurora_version()",
        "update pg_catalog.pg_proc set proname = 'gone' where proname = 'format'",
    ],
    "postgres": [
        "alter database barred is_template true",
        "alter database closed allow_connections false",
        "alter database template0 allow_connections false",
        "alter database rdsadmin owner to postgres",
        'create database "\xff" template in_bytes',
        "grant execute on function pg_catalog.pg_read_file(text) to public",
        "grant execute on function pg_catalog.lo_import(text) to postgres with grant option",
        "alter function pg_catalog.pg_ls_logdir() security definer",
        "grant select on pg_catalog.pg_authid to public",
        "grant select (rolpassword) on pg_catalog.pg_authid to borealis_reader",
        "update pg_catalog.pg_language set lanpltrusted = true where lanname in ('c', 'internal')",
        "create or replace function pg_catalog.aurora_version() returns text language plpgsql "
        "security definer as $$ begin return current_user; end $$",
    ],
}
"""And this: in databases that nobody enters, and in what is PostgreSQL's own."""


def leave(postmaster: Postmaster) -> None:
    with superuser_connection(postmaster, "postgres") as conn:
        conn.execute("create database closed owner postgres")
        conn.execute("create database barred owner postgres")
        conn.execute("create database in_bytes encoding 'SQL_ASCII' locale 'C' template template0")
        conn.execute("alter database template0 allow_connections true")
    for database, statements in ELSEWHERE.items():
        for statement in statements:
            inside = "in_bytes" if "\xff" in statement else database
            with superuser_connection(postmaster, inside) as conn:
                if inside == "in_bytes":
                    conn.execute("set client_encoding = 'SQL_ASCII'")
                done = conn.pgconn.exec_(statement.encode("latin1"))
                assert not done.error_message, done.get_error_message()


def hosted(runtime: Runtime, cluster: ClusterHandle) -> HostedCluster:
    found: HostedCluster = runtime._home.service._runtime.clusters[cluster.id]  # type: ignore[attr-defined]
    return found


@pytest.fixture(scope="module")
def place(spent_folders: SpentFolders) -> Iterator[Path]:
    folder = reachable_folder()
    yield folder
    spent_folders.append(folder)


@pytest.fixture(scope="module")
def file(place: Path) -> Iterator[Path]:
    """A snapshot with traps, from another host; its key is in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pacing, "FIRST_AFTER_S", 0.0)
        with Runtime.open(place / "theirs", warm_pool_size=0) as theirs:
            cluster = theirs.create_db_cluster("trap")
            postmaster = hosted(theirs, cluster).writer.servers.as_writer._postmaster
            leave(postmaster)
            with superuser_connection(postmaster, "postgres") as conn:
                for statement in PLANTED.split(";\n"):
                    conn.execute(statement.encode())
            theirs.create_db_cluster_snapshot("trap", "trap")
            theirs.export_db_cluster_snapshot("trap", str(place / "trap.snapshot"))
        yield place / "trap.snapshot"


def rewritten(file: Path, target: Path, **lies: str) -> Path:
    """A copy of a file whose snapshot says other things of its cluster, sealed as is due."""
    key = sharing.key_in(sharing.read_head(file), None)
    with tarfile.open(file) as archive, tarfile.open(target, "w") as changed:
        for member in archive:
            opened = archive.extractfile(member)
            assert opened is not None
            content = opened.read()
            if member.name.startswith("snapshots/"):
                listed: dict[str, Any] = json.loads(unseal(key, member.name, content))
                listed["cluster"] |= lies
                content = seal(key, member.name, json.dumps(listed).encode())
                member.size = len(content)
            changed.addfile(member, io.BytesIO(content))
    return target


def test_what_a_superuser_left_in_a_snapshot_gives_nobody_his_rights(
    file: Path, runtime: Runtime
) -> None:
    runtime.import_db_cluster_snapshot("came", str(file))
    cluster = runtime.restore_db_cluster_from_snapshot("came", "came")
    with cluster.connect() as conn:
        assert conn.execute(
            "select rolsuper from pg_roles where rolname = 'another'"
        ).fetchone() == (False,)
        with pytest.raises(Exception, match=r"permission denied|must be superuser"):
            conn.execute("select public.rise()")
        conn.rollback()
        conn.execute("create table mine (v int)")  # no event trigger fires
        row = conn.execute(
            "select (select rolsuper from pg_roles where rolname = current_user),"
            " (select count(*) from pg_event_trigger),"
            " (select count(*) from pg_proc where prosecdef and proowner = 10 and oid >= 16384"
            "   and pronamespace <> 'pg_catalog'::regnamespace),"
            " (select count(*) from pg_class where relowner = 10 and relname = 'of_the_superuser'),"
            " current_setting('archive_command')"
        ).fetchone()
    assert row == (False, 0, 0, 0, "(disabled)")
    assert not Path("/tmp/borealis-was-here").exists()
    said = " ".join(event.message for event in runtime.describe_events("came"))
    for word in ("rise()", "planted", "of_the_superuser", "another"):
        assert word in said


def test_what_he_left_where_nobody_enters_gives_nobody_his_rights_either(
    file: Path, runtime: Runtime
) -> None:
    runtime.import_db_cluster_snapshot("hidden", str(file))
    cluster = runtime.restore_db_cluster_from_snapshot("hidden", "hidden")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("alter database closed allow_connections true")
        conn.execute("create database made template template0")
        found = conn.execute(
            "select datname from pg_database where datname ~ '^(database_|in_bytes)'"
        ).fetchall()
        assert len(found) == 2
    for database, name in {
        "closed": "rise",
        "made": "rise",
        **{str(each): "rise%" for (each,) in found},
    }.items():
        with cluster.connect(dbname=database, autocommit=True) as conn:
            owners = conn.execute(
                "select distinct proowner::regrole::text from pg_proc where proname like %s", [name]
            ).fetchall()
            assert [str(owner) for (owner,) in owners] in (["postgres"], ["b'postgres'"])
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        cluster.connect(dbname="rdsadmin")


def test_a_database_that_cannot_be_searched_is_entered_by_nobody_and_copied_by_nobody(
    opened: ClusterHandle, shared_runtime: Runtime
) -> None:
    said = [each.message for each in shared_runtime.describe_events("opened")]
    (about,) = [each for each in said if "'barred'" in each]
    assert "could not be searched for what a superuser left, so nobody enters it" in about
    for again in range(2):
        with opened.connect(autocommit=True) as conn:
            for statement in (
                "alter database barred allow_connections true",
                "create database copied template barred",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(statement.encode())
        if not again:
            shared_runtime.pause_db_cluster("opened")
    postmaster = hosted(shared_runtime, opened).writer.servers.as_writer._postmaster
    with superuser_connection(postmaster, "postgres") as conn:
        conn.execute("alter database barred allow_connections true")
    with superuser_connection(postmaster, "barred") as conn:
        made = "select count(*) from pg_proc where proname = 'aurora_version'"
        assert conn.execute(made).fetchone() == (0,), "the runtime's session made nothing there"


@pytest.mark.parametrize(
    "statement",
    [
        "select pg_read_file('postgresql.conf')",
        "select lo_import('/etc/hostname')",
        "select pg_ls_logdir()",
        "select count(*) from pg_authid",
        "set role borealis_reader; select rolpassword from pg_authid",
        "create function f(text) returns oid language internal as 'be_lo_import'",
        "create function f(cstring) returns int language c as 'libc.so.6', 'system'",
    ],
)
def test_what_he_opened_of_postgresql_is_closed(opened: ClusterHandle, statement: str) -> None:
    with opened.connect() as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


def test_what_drivers_ask_is_the_runtimes_again(opened: ClusterHandle) -> None:
    with opened.connect() as conn:
        row = conn.execute("select aurora_version() = split_part(version(), ' ', 2)").fetchone()
    assert row == (True,)


@pytest.fixture(scope="module")
def opened(file: Path, shared_runtime: Runtime) -> ClusterHandle:
    shared_runtime.import_db_cluster_snapshot("opened", str(file))
    return shared_runtime.restore_db_cluster_from_snapshot("opened", "opened")


def test_what_a_file_says_of_its_cluster_has_no_program_run(
    file: Path, runtime: Runtime, place: Path
) -> None:
    for program in ("postgres", "initdb"):
        path = place / "evil" / "bin" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {place}/ran\necho postgres 18.6\n")
        path.chmod(0o755)
    for lies in (
        {"engine_version": str(place / "evil")},
        {"master_username": "rdsadmin"},
        {"database_name": "rdsadmin"},
    ):
        lying = rewritten(file, place / "lying.snapshot", **lies)
        with pytest.raises(BackupDamagedError, match="damaged"):
            runtime.import_db_cluster_snapshot("lying", str(lying))
    assert runtime.describe_db_cluster_snapshots() == []
    assert not (place / "ran").exists()
    shutil.rmtree(place / "evil")
