"""What every test may use, and the check that a session leaves no process behind."""

import gc
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psutil
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from cluster_runtime.engine.access.roles import MASTER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.sandbox.libc import libc
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.template import ensure_template
from tests.examples import examples
from tests.hosts import end_hosts
from tests.places import PLACE, SpentFolders, reachable_folder

# In a shell's background these are ignored, and every program that a test starts would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for ignored in (signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.SIG_DFL)

# With an arena of memory for each of the threads that come and go with a runtime, a worker would
# double in size, and what it forks copies its page tables each time.
M_ARENA_MAX = -8
if sys.platform == "linux" and hasattr(libc(), "mallopt"):
    libc().mallopt(M_ARENA_MAX, 1)

# How long an example takes is the load of the machine; pytest-timeout ends what never ends.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=examples(100))
hypothesis.settings.load_profile("suite")

SESSION_MARK = "BOREALIS_TEST_SESSION"
os.environ[SESSION_MARK] = uuid.uuid4().hex
os.environ["BOREALIS_WARM_POOL"] = "0"  # of hosts that commands start
WITH_PGVECTOR = "with_pgvector"


def processes_of_this_session() -> list[psutil.Process]:
    """Descendants that still run, those whose parent is gone included (told by the environment)."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(SESSION_MARK) == os.environ[SESSION_MARK]
            ):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def pytest_collection_finish() -> None:
    """What the imports have made stays: the garbage collector need not look at it ever again."""
    gc.collect()
    gc.freeze()
    # Tests leave much that lives on, such as modules and models: not to be looked at that often.
    gc.set_threshold(20_000, 20, 20)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not session.config.getoption("numprocesses", None):
        # Whoever was told to end in the last test may be on the way out.
        left = psutil.wait_procs(processes_of_this_session(), timeout=10)[1]
        if left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            names = ", ".join(f"{p.pid} {' '.join(p.cmdline())[:80]}" for p in left)
            raise RuntimeError(f"this test session left processes behind: {names}")


@pytest.fixture(scope="session")
def server_dsn() -> Iterator[str]:
    """Conninfo of a PostgreSQL of this test worker, as a master user; durable enough for tests."""
    folder = reachable_folder()
    user = engine_user()
    cache = shared_directory(user)
    template = ensure_template(find_installation().reachable_by(user, cache), user, cache)
    template.copy_to(folder / "data", new_system_identifier())
    postmaster = Postmaster(
        template.installation, user, folder / "data", folder / "sockets", folder / "log"
    )
    postmaster.start({"fsync": False, "max_connections": 200, "autovacuum": False})
    dsn = make_conninfo(host=str(folder / "sockets"), user=MASTER, dbname="postgres")
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(WITH_PGVECTOR)))
    with psycopg.connect(dsn, dbname=WITH_PGVECTOR) as conn:
        conn.execute("create extension vector")
    yield dsn
    postmaster.stop(Shutdown.IMMEDIATE)
    shutil.rmtree(folder)


@contextmanager
def database(server_dsn: str) -> Iterator[str]:
    """Make an empty database that has pgvector; drop it at the end."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} template {} strategy file_copy").format(
                sql.Identifier(name), sql.Identifier(WITH_PGVECTOR)
            )
        )
        yield make_conninfo(server_dsn, dbname=name)
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def fresh_dsn(server_dsn: str) -> Iterator[str]:
    """Conninfo of a new empty database that has pgvector; dropped afterwards."""
    with database(server_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def module_dsn(server_dsn: str) -> Iterator[str]:
    """The same, one for the tests of a module: for what none of them changes."""
    with database(server_dsn) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def spent_folders() -> Iterator[SpentFolders]:
    """Where folders go that no test uses any more."""
    folders = SpentFolders()
    yield folders
    folders.remove()


@pytest.fixture(scope="module")
def folders_in() -> Path:
    """Where a module's state directories are made."""
    return PLACE


@pytest.fixture
def engine_dir(folders_in: Path, spent_folders: SpentFolders) -> Iterator[Path]:
    """A new `reachable_folder`. Hosts that commands have started there end with the test."""
    folder = reachable_folder(folders_in)
    yield folder
    end_hosts(folder)
    spent_folders.append(folder)
