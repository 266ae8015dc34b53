"""The fixtures of `borealis.pytest_plugin`, in test runs of their own."""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from borealis.pytest_plugin import BorealisDatabase

ROOT = Path(__file__).parent.parent
FRESH_DATABASE_MS = 60

Run = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project, with a place for temporary folders of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nborealis_migrations = migrations\n")
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "2_rows.sql").write_text("insert into item values (1, 'one');")
    (folder / "1_table.sql").write_text("create table item (id int primary key, name text);")
    return tmp_path


@pytest.fixture
def run(project: Path) -> Run:
    """Run pytest over tests; what it printed. Fails where its status is not the expected one."""
    spare = Path(tempfile.mkdtemp(prefix="borealis-test-"))
    spare.chmod(0o711)

    def pytest_of(tests: str, *arguments: str, status: int = 0, conftest: str = "") -> str:
        (project / "test_it.py").write_text(tests)
        (project / "conftest.py").write_text(conftest)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-p", "borealis.pytest_plugin", "-p", "xdist"),
                *("-q", "-p", "no:cacheprovider", *arguments),
            ],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=240,
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(spare)},
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert list(spare.glob("borealis-pytest-*")) == []
        return done.stdout

    yield pytest_of
    shutil.rmtree(spare)


EACH_FRESH = """
import psycopg, pytest

kept = []

@pytest.mark.parametrize("number", range(6))
def test_a_database_is_fresh(borealis_database, number):
    with borealis_database.connect() as conn:
        assert conn.execute("select id, name from item").fetchall() == [(1, "one")]
        conn.execute("insert into item values (2, 'two'); create table more (n int)")
    kept.append(borealis_database.connect())  # and not closed

def test_pgvector_is_there(borealis_database):
    with borealis_database.connect() as conn:
        assert conn.execute("select '[1,2]'::vector <-> '[1,2]'").fetchone() == (0.0,)

def test_who_left_a_session_open_has_lost_it(borealis_database):
    for conn in kept:
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
"""


def test_each_test_has_a_fresh_copy_of_the_migrated_database(run: Run) -> None:
    assert "8 passed" in run(EACH_FRESH)


ON_WORKERS = """
import os, pytest
from pathlib import Path

@pytest.mark.parametrize("number", range(6))
def test_a_database_is_fresh(borealis_database, borealis_state_dir, number):
    with borealis_database.connect() as conn:
        assert conn.execute("select count(*) from item").fetchone() == (1,)
        conn.execute("delete from item")
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(f"{os.environ['PYTEST_XDIST_WORKER']} {borealis_state_dir}\\n")
"""


@pytest.mark.long
def test_under_xdist_each_worker_has_a_runtime_of_its_own(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    assert "6 passed" in run(ON_WORKERS, "-n", "2")
    pairs = {tuple(line.split()) for line in (tmp_path / "seen").read_text().splitlines()}
    assert {worker for worker, _ in pairs} == {"gw0", "gw1"}
    assert len({folder for _, folder in pairs}) == len(pairs) == 2


DRIVERS = """
import asyncio, asyncpg, psycopg, sqlalchemy

def test_urls(borealis_database):
    database = borealis_database
    assert psycopg.connect(database.get_connection_url()).info.dbname == database.dbname
    engine = sqlalchemy.create_engine(database.get_connection_url(driver="psycopg"))
    with engine.begin() as conn:
        assert conn.execute(sqlalchemy.text("select name from item")).fetchall() == [("one",)]
    engine.dispose()

    async def rows():
        conn = await asyncpg.connect(database.get_connection_url())
        try:
            return await conn.fetchval("select name from item")
        finally:
            await conn.close()

    async def ours():
        async with await database.aconnect() as conn:
            return await (await conn.execute("select name from item")).fetchone()

    assert asyncio.run(rows()) == "one"
    assert asyncio.run(ours()) == ("one",)

def test_parts(borealis_database):
    database = borealis_database
    with psycopg.connect(
        host=database.get_container_host_ip(), port=database.get_exposed_port(5432),
        user=database.username, password=database.password, dbname=database.dbname,
    ) as conn:
        assert conn.execute("select current_database()").fetchone() == (database.dbname,)
"""


@pytest.mark.long
def test_the_words_of_testcontainers_serve_every_driver(run: Run) -> None:
    assert "2 passed" in run(DRIVERS)


MIGRATED_OTHERWISE = """
import subprocess, sys
import pytest

PROGRAM = '''
import psycopg, sys
with psycopg.connect(sys.argv[1]) as conn:
    conn.execute("create table other (n int)")
'''

@pytest.fixture(scope="session")
def borealis_migrate():
    def migrate(database):
        subprocess.run([sys.executable, "-c", PROGRAM, database.get_connection_url()], check=True)
        migrate.pool = database.connect()  # left open, as a tool's pool is
    return migrate
"""


def test_another_tool_may_migrate(run: Run) -> None:
    tests = """
def test_it(borealis_database):
    with borealis_database.connect() as conn:
        assert conn.execute("select to_regclass('other') is not null, to_regclass('item')")\\
            .fetchone() == (True, None)

def test_again(borealis_database):
    assert borealis_database.dbname == "test_2"
"""
    assert "2 passed" in run(tests, conftest=MIGRATED_OTHERWISE)


def test_a_migration_that_fails_is_named(run: Run, project: Path) -> None:
    (project / "migrations" / "3_wrong.sql").write_text("alter table nothing add n int;")
    said = run("def test_it(borealis_database): pass", status=1)
    assert 'relation "nothing" does not exist' in said
    assert "in the migration" in said
    assert "3_wrong.sql" in said


def test_a_folder_without_migrations_is_a_mistake(run: Run, project: Path) -> None:
    shutil.rmtree(project / "migrations")
    (project / "migrations").mkdir()
    assert "no *.sql in" in run("def test_it(borealis_database): pass", status=1)


@pytest.mark.long
def test_databases_of_tests_that_are_over_do_not_fill_the_disk(run: Run) -> None:
    tests = """
import pytest

@pytest.mark.parametrize("number", range(5))
def test_it(borealis_database, number):
    with borealis_database.connect() as conn:
        (there,) = conn.execute(
            "select count(*) from pg_database where datname like 'test\\\\_%'").fetchone()
    assert there == min(number, 2) + 1
"""
    few = "import borealis.pytest_plugin as p; p.KEPT_BYTES = 18 * 2**20"
    assert "5 passed" in run(tests, conftest=few)


@pytest.mark.long
def test_the_example_for_ci_runs(run: Run, project: Path) -> None:
    example = ROOT / "examples" / "ci"
    shutil.copytree(example / "migrations", project / "migrations", dirs_exist_ok=True)
    for name in ("1_table.sql", "2_rows.sql"):
        (project / "migrations" / name).unlink()
    assert "3 passed" in run((example / "test_shop.py").read_text(), "-n", "2")
    workflow = (example / ".github" / "workflows" / "test.yml").read_text()
    assert "run: pytest -n auto" in workflow
    assert "services:" not in workflow


def test_the_plugin_is_found_by_pytest_and_loads_nothing_heavy() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert declared["pytest11"] == {"borealis": "borealis.pytest_plugin"}
    code = "import borealis.pytest_plugin, sys; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"psycopg", "cluster_runtime", "botocore"} & set(done.stdout.split()) == set()


def test_a_password_is_in_no_repr_and_a_url_is_quoted() -> None:
    database = BorealisDatabase("127.0.0.1", 5, "me", "p@ss/word", "a b")
    assert "p@ss" not in repr(database)
    assert database.get_connection_url() == "postgresql://me:p%40ss%2Fword@127.0.0.1:5/a%20b"
    assert database.get_connection_url(driver="asyncpg", host="h").startswith("postgresql+asyncpg:")
    with pytest.raises(ValueError, match="nothing is at 80"):
        database.get_exposed_port(80)


TIMED = """
import json, os

seconds = []

def pytest_runtest_logreport(report):
    if report.when == "setup":
        seconds.append(report.duration)

def pytest_sessionfinish():
    with open(os.environ["SECONDS"], "w") as file:
        json.dump(seconds, file)
"""


@pytest.mark.long
def test_a_fresh_database_takes_60_ms_at_the_median(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first takes what the cluster takes. The other limit is that of an idle machine."""
    monkeypatch.setenv("SECONDS", str(tmp_path / "seconds"))
    tests = """
import pytest

@pytest.mark.parametrize("number", range(61))
def test_it(borealis_database, number):
    with borealis_database.connect() as conn:
        conn.execute("insert into item values (2, 'two')")
"""
    run(tests, conftest=TIMED)
    first, *others = json.loads((tmp_path / "seconds").read_text())
    p50 = 1000 * statistics.median(others)
    print(f"first {first:.2f} s, then p50 {p50:.1f} ms")
    assert p50 <= FRESH_DATABASE_MS


def test_the_page_says_what_there_is() -> None:
    page = (ROOT / "docs" / "testing.md").read_text()
    source = (ROOT / "borealis" / "pytest_plugin.py").read_text()
    for name in re.findall(r"^def (borealis_\w+)", source, re.M):
        if name not in {"borealis_password", "borealis_template"}:
            assert f"`{name}`" in page, name
