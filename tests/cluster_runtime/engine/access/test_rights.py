"""What a superuser can do to a cluster's rights is found and undone; what a tenant may do stays."""

from collections.abc import Iterator

import psycopg
import pytest

from cluster_runtime.engine.access import roles
from cluster_runtime.engine.access.admin_session import admin_conninfo, pinned_settings
from cluster_runtime.engine.access.rights import RIGHTS_QUERY, Repair, Rights, repairs
from cluster_runtime.engine.postmaster import Postmaster, Shutdown

Session = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def server(template: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postmaster]:
    from cluster_runtime.engine.template import Template
    from tests.places import reachable_folder

    assert isinstance(template, Template)
    folder = reachable_folder()
    template.copy_to(folder / "data", 1)
    postmaster = Postmaster(
        template.installation, template.user, folder / "data", folder / "s", folder / "log"
    )
    postmaster.start({"fsync": False})
    yield postmaster
    postmaster.stop(Shutdown.IMMEDIATE)


@pytest.fixture
def session(server: Postmaster) -> Iterator[Session]:
    major = server.installation.major
    with psycopg.connect(admin_conninfo(server.socket_directory, major), autocommit=True) as conn:
        yield conn


def found(session: Session, server: Postmaster) -> list[Repair]:
    row = session.execute(RIGHTS_QUERY).fetchone()
    assert row is not None
    own = dict(session.execute("select name, oid::int8 from runtime.role").fetchall())
    rights = Rights.from_row(row)  # type: ignore[arg-type]
    return repairs(rights, own, roles.MASTER, server.installation.major)  # type: ignore[arg-type]


AMISS = [
    "alter role postgres superuser",
    "alter role postgres replication",
    "alter role borealis_reader bypassrls",
    "create role intruder superuser replication login",
    "grant pg_execute_server_program to postgres",
    "grant pg_read_server_files to postgres with admin option",
    "grant pg_read_all_data to borealis_reader",
    "grant pg_monitor to rds_superuser",
    "grant rdsadmin to postgres",
    "grant rds_superuser to postgres with admin option",
    "grant rds_superuser to borealis_reader",
    "grant rds_grantor to postgres",
    "grant borealis_reader to rds_superuser",
    "create role other; grant borealis_reader to other",
    "create role another; grant pg_signal_backend to another",
    "alter role rds_iam rename to gone",
    "alter role rds_iam rename to gone2; create role rds_iam",
    "alter role rds_superuser rename to x; alter role rds_grantor rename to rds_superuser;"
    " alter role x rename to rds_grantor",
    "alter role rds_iam login",
    "revoke rds_iam from borealis_reader",
    "revoke rds_superuser from postgres",
    "revoke admin option for rds_iam from rds_superuser cascade",
    "alter role all set statement_timeout = '1ms'",
    "alter role all set search_path = evil",
    "alter database rdsadmin set search_path = evil",
    "alter role rdsadmin set role = 'postgres'",
    "alter role rdsadmin in database postgres set search_path = evil",
    "grant set on parameter log_statement to postgres",
    "grant alter system on parameter archive_command to public",
    "alter database rdsadmin owner to postgres",
    "grant connect on database rdsadmin to postgres",
    "grant all on database rdsadmin to public",
    "grant create on database rdsadmin to borealis_reader with grant option",
    "alter database template0 owner to postgres",
    "alter database template1 owner to postgres",
]


def test_nothing_is_amiss_in_a_new_cluster(session: Session, server: Postmaster) -> None:
    assert found(session, server) == []


@pytest.mark.parametrize("statement", AMISS)
def test_what_only_a_superuser_can_have_done_is_found_and_undone(
    session: Session, server: Postmaster, statement: str
) -> None:
    session.execute(statement.encode())
    needed = found(session, server)
    assert needed
    assert all(repair.report for repair in needed)
    for repair in needed:
        session.execute(repair.statement)
    assert found(session, server) == []


@pytest.mark.parametrize(
    "statement",
    [
        "create role app login createdb createrole",
        "create role app2; create role team; grant team to app2 with admin option",
        "create role reporting; grant reporting to borealis_reader",
        "create role app3; grant rds_iam to app3 with admin option",
        "alter database postgres set search_path = app, public",
        "alter role postgres set work_mem = '64MB'",
        "alter role postgres in database postgres set statement_timeout = '1min'",
        "create role app4; grant rds_superuser to app4 granted by rds_grantor",
    ],
)
def test_what_a_tenant_may_do_stays(session: Session, server: Postmaster, statement: str) -> None:
    session.execute(statement.encode())
    assert found(session, server) == []


def test_a_session_of_the_runtime_inherits_no_setting(session: Session, server: Postmaster) -> None:
    """Not even one that a superuser left for everybody, if it changes what statements do."""
    pinned = pinned_settings(server.installation.major)
    for name in (
        "search_path",
        "statement_timeout",
        "work_mem",
        "timezone",
        "local_preload_libraries",
    ):
        for where in ("role all", "database rdsadmin", "role rdsadmin in database rdsadmin"):
            session.execute(f"alter {where} set {name} = '70'".encode())
    major = server.installation.major
    with psycopg.connect(admin_conninfo(server.socket_directory, major), autocommit=True) as conn:
        inherited = conn.execute(
            "select name from pg_settings where source in ('global', 'database', 'user', "
            "'database user')"
        ).fetchall()
        assert inherited == [("work_mem",)]
        assert conn.execute("show search_path").fetchone() == (pinned["search_path"],)
    for repair in found(session, server):
        session.execute(repair.statement)
