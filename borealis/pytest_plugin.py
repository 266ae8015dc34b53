"""Fixtures for tests that need PostgreSQL: a cluster for all, a fresh database for each of them.

    def test_an_order_is_kept(borealis_database):
        with borealis_database.connect() as conn:
            conn.execute("insert into orders values (1)")

The plugin is there where `borealis-postgres` is installed, and costs nothing until a fixture is
asked for. Migrations run once, in a template; each test gets a copy of it. Under pytest-xdist each
worker has a runtime of its own. `docs/testing.md` shows how it is used.
"""

import itertools
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    import psycopg

    from cluster_runtime import ClusterHandle, Runtime

MIGRATIONS = "borealis_migrations"
"""Setting of pytest: files of SQL, or folders of them, which make a fresh database what it is."""

TEMPLATE = "borealis_template"
CLUSTER = "pytest"
PORT_INSIDE = 5432
KEPT_BYTES = 1 << 30
"""Databases of tests that are over are dropped once they take more; that is slower than making."""

Migrate = Callable[["BorealisDatabase"], None]


@dataclass(frozen=True, slots=True)
class BorealisDatabase:
    """A database for one test. Its words are those of Testcontainers' `PostgresContainer`.

    host, port: where it takes connections, with TLS or without. The password is valid as long as
    the session.
    """

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    dbname: str

    def get_connection_url(self, host: str | None = None, driver: str | None = None) -> str:
        """A URL; driver: as SQLAlchemy names it (`psycopg`, `asyncpg`), None for none."""
        scheme = "postgresql" if driver is None else f"postgresql+{driver}"
        return (
            f"{scheme}://{quote(self.username, safe='')}:{quote(self.password, safe='')}"
            f"@{host or self.host}:{self.port}/{quote(self.dbname, safe='')}"
        )

    def get_container_host_ip(self) -> str:
        """The address to connect to."""
        return self.host

    def get_exposed_port(self, port: int = PORT_INSIDE) -> int:
        """The port to connect to. Raises ValueError for a port that is not PostgreSQL's, 5432."""
        if port != PORT_INSIDE:
            raise ValueError(f"PostgreSQL alone is here, at {PORT_INSIDE}; nothing is at {port}")
        return self.port

    def connect(self, **kwargs: Any) -> "psycopg.Connection[Any]":
        """A psycopg connection; keyword arguments go to `psycopg.connect`."""
        import psycopg

        return psycopg.connect(self.get_connection_url(), **kwargs)

    async def aconnect(self, **kwargs: Any) -> "psycopg.AsyncConnection[Any]":
        """An asynchronous psycopg connection."""
        import psycopg

        return await psycopg.AsyncConnection.connect(self.get_connection_url(), **kwargs)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting for migrations."""
    parser.addini(
        MIGRATIONS,
        "SQL files, or folders whose *.sql files are run in order of name, for borealis_database",
        type="paths",
        default=[],
    )


@pytest.fixture(scope="session")
def borealis_state_dir() -> Iterator[Path]:
    """Where the clusters of this session live; removed at its end. Override it to keep them."""
    folder = Path(tempfile.mkdtemp(prefix="borealis-pytest-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user, and looks into what it is named
    yield folder / "state"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def borealis_runtime(borealis_state_dir: Path) -> "Iterator[Runtime]":
    """A runtime for the session; under pytest-xdist, one for each worker."""
    from cluster_runtime import Runtime

    with Runtime.open(borealis_state_dir, warm_pool_size=0) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def borealis_password() -> str:
    """The password of the cluster's master user."""
    return secrets.token_urlsafe(24)


@pytest.fixture(scope="session")
def borealis_cluster(
    borealis_runtime: "Runtime", borealis_password: str
) -> "Iterator[ClusterHandle]":
    """A cluster for the session, which takes plain connections too: all of it is on loopback."""
    cluster = borealis_runtime.create_db_cluster(CLUSTER, master_user_password=borealis_password)
    borealis_runtime.modify_db_cluster(CLUSTER, require_tls=False)
    yield cluster
    borealis_runtime.delete_db_cluster(CLUSTER)


@pytest.fixture(scope="session")
def borealis_migrate(pytestconfig: pytest.Config) -> Migrate:
    """What makes a new database the one that tests want; override it to run Alembic or the like."""
    given: list[Path] = pytestconfig.getini(MIGRATIONS)
    return lambda database: _run_files(database, given)


@pytest.fixture(scope="session")
def borealis_template(
    borealis_cluster: "ClusterHandle", borealis_password: str, borealis_migrate: Migrate
) -> "Iterator[_Template]":
    """The database that the tests get copies of, migrated once."""
    facts = borealis_cluster.describe()
    place = BorealisDatabase(
        "127.0.0.1", facts.port, facts.master_username, borealis_password, facts.database_name
    )
    with place.connect(autocommit=True) as admin:
        template = _Template(place, admin)
        template.make(borealis_migrate)
        yield template


@pytest.fixture
def borealis_database(borealis_template: "_Template") -> Iterator[BorealisDatabase]:
    """A fresh database: a copy of the migrated template, for one test."""
    database = borealis_template.copy()
    yield database
    borealis_template.give_back(database)


class _Template:
    """Makes copies of a migrated database over one connection of its own."""

    def __init__(self, place: BorealisDatabase, admin: "psycopg.Connection[Any]") -> None:
        self._place = place
        self._admin = admin
        self._numbers = itertools.count(1)
        self._over: list[str] = []
        self._bytes_each = 1

    def make(self, migrate: Migrate) -> None:
        """Make the template. Raises what the migrations raise."""
        self._run(f"create database {TEMPLATE}")
        with self._named(TEMPLATE).connect(autocommit=True) as conn:
            conn.execute("create extension if not exists vector")
        migrate(self._named(TEMPLATE))
        self._run(f"alter database {TEMPLATE} with allow_connections false is_template true")
        self._disconnect(TEMPLATE)  # a pool of a migration tool would be in the way
        row = self._admin.execute("select pg_database_size(%s)", [TEMPLATE]).fetchone()
        self._bytes_each = row[0] if row else 1

    def copy(self) -> BorealisDatabase:
        """A copy. Files are copied, which for a database of some MB is twice as fast as through
        the log, block by block.
        """
        database = self._named(f"test_{next(self._numbers)}")
        self._run(f"create database {database.dbname} template {TEMPLATE} strategy file_copy")
        return database

    def give_back(self, database: BorealisDatabase) -> None:
        """A test is over: whoever is still connected is disconnected, and its space counted."""
        self._disconnect(database.dbname)
        self._over.append(database.dbname)
        while len(self._over) * self._bytes_each > KEPT_BYTES:
            self._run(f"drop database if exists {self._over.pop(0)} with (force)")

    def _disconnect(self, dbname: str) -> None:
        self._admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [dbname]
        )

    def _named(self, dbname: str) -> BorealisDatabase:
        place = self._place
        return BorealisDatabase(place.host, place.port, place.username, place.password, dbname)

    def _run(self, statement: str) -> None:
        self._admin.execute(statement.encode())


def _run_files(database: BorealisDatabase, given: list[Path]) -> None:
    files: list[Path] = []
    for path in given:
        files += sorted(path.glob("*.sql")) if path.is_dir() else [path]
    if not files and given:
        raise pytest.UsageError(f"{MIGRATIONS}: no *.sql in {', '.join(map(str, given))}")
    with database.connect(autocommit=True) as conn:
        for file in files:
            try:
                conn.execute(file.read_text(encoding="utf-8").encode())
            except Exception as error:
                error.add_note(f"in the migration {file}")
                raise
