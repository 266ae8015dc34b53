"""A PostgreSQL that is nobody's but its owner's: initdb, a password for everybody, TCP."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation, installations
from cluster_runtime.engine.postmaster import as_user, engine_environment
from cluster_runtime.engine.sandbox.os_user import engine_user
from mcp_server.databases.existing import Databases, parse
from mcp_server.server import build_database_server
from tests.mcp_server.conftest import SHOP, Tools
from tests.places import reachable_folder

SECRET = "s3cr3t-of-all"
"""The password of every role."""
GUARD_TESTS = Path(__file__).parent.parent / "nl2sql" / "database" / "guard"

ROLES = f"""
create role clerk login password '{SECRET}';
create role outsider login password '{SECRET}';
create role quiet login password '{SECRET}';
alter role quiet set log_min_messages = fatal;
create role trusted login password '{SECRET}';
grant set on parameter log_min_messages to trusted;
"""
GRANTS = """
grant usage on schema public, sales to clerk, quiet, trusted;
grant select on all tables in schema public, sales to clerk, quiet, trusted;
"""


@dataclass(frozen=True)
class PlainServer:
    """port: on 127.0.0.1. log: what the server writes to its log."""

    port: int
    log: Path

    def dsn(self, user: str = "clerk", dbname: str = "shop") -> str:
        """A URI with the password in it."""
        return f"postgresql://{user}:{SECRET}@127.0.0.1:{self.port}/{dbname}"

    def connect(self, user: str = "postgres", dbname: str = "shop") -> psycopg.Connection[Any]:
        """A connection in autocommit mode."""
        return psycopg.connect(self.dsn(user, dbname), autocommit=True)

    def logged(self, since: int = 0) -> str:
        """The log from an offset on."""
        return self.log.read_text(errors="replace")[since:]


def start(folder: Path, version: str) -> Callable[[], None]:
    """initdb and start, with the server's own defaults; what stops it."""
    user = engine_user()
    installation = find_installation(version).reachable_by(user, shared_directory(user))
    user.own(folder)
    run: dict[str, Any] = {
        "check": True,
        "capture_output": True,
        "env": engine_environment(),
        "start_new_session": True,
        **as_user(user),
    }
    (folder / "password").write_text(SECRET)
    (folder / "password").chmod(0o644)
    data = folder / "data"
    subprocess.run(
        [
            *(installation.program("initdb"), "-D", data, "-U", "postgres", "-N", "-E", "UTF8"),
            *("--locale=C", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"),
        ],
        **run,
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    control = installation.program("pg_ctl")
    options = f"-p {port} -k {folder} -c fsync=off"
    log = folder / "log"
    with open(log, "w") as nothing:
        subprocess.run(
            [control, "-D", data, "-l", folder / "server.log", "-w", "-o", options, "start"],
            **(run | {"capture_output": False, "stdout": nothing, "stderr": nothing}),
        )
    (folder / "port").write_text(str(port))
    return lambda: subprocess.run([control, "-D", data, "-m", "immediate", "stop"], **run)


VERSIONS = sorted({str(each.major) for each in installations()}, reverse=True)


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda major: f"postgresql-{major}")
def plain(request: pytest.FixtureRequest) -> Iterator[PlainServer]:
    """A server with the database `shop`; `clerk` may read it, `outsider` may not."""
    folder = reachable_folder()
    stop = start(folder, request.param)
    server = PlainServer(int((folder / "port").read_text()), folder / "server.log")
    with server.connect(dbname="postgres") as admin:
        admin.execute("create database shop")
        admin.execute(ROLES)
    with server.connect() as admin:
        admin.execute(SHOP)
        admin.execute(GRANTS)
    yield server
    stop()
    shutil.rmtree(folder)


@pytest.fixture
def reading(plain: PlainServer) -> Callable[..., Tools]:
    """The tools of a server for connection strings."""

    def serve(*dsns: str) -> Tools:
        return Tools(build_database_server(Databases([parse(each) for each in dsns])))

    return serve


@pytest.fixture(scope="session")
def trapped(plain: PlainServer) -> str:
    """The name of a database with the guard's traps in it, which a superuser owns."""
    with plain.connect(dbname="postgres") as admin:
        contrib = "select 1 from pg_available_extensions where name = 'hstore'"
        if admin.execute(contrib).fetchone() is None:
            pytest.skip("the traps need PostgreSQL's contrib extensions")
        admin.execute("create database trapped")
    with plain.connect(dbname="trapped") as owner:
        owner.execute("create extension vector")
        for statement in (GUARD_TESTS / "traps.sql").read_text(encoding="utf-8").split(";\n"):
            owner.execute(statement.encode())
        owner.execute("reset role")
        owner.execute("grant select on all tables in schema public, app, trap to clerk")
    return "trapped"
