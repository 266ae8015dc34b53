"""Commands that lead into a cluster: what `url` prints opens it, `psql` and `exec` run in it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from cluster_runtime import Runtime
from mcp_server.cli.connecting import address

NEEDS_PSQL = pytest.mark.skipif(shutil.which("psql") is None, reason="no psql on the search path")
Done = subprocess.CompletedProcess[str]
Borealis = Callable[..., Done]


@pytest.fixture(scope="session")  # a worker may come to this file twice
def directory(state_dir: Path) -> Path:
    path = state_dir / "connecting"
    with (
        Runtime.open(path, warm_pool_size=0) as runtime,
        runtime.create_db_cluster("here").connect(autocommit=True) as conn,
    ):
        conn.execute("create table t as select 5 as x")
        conn.execute("create database other")
    return path


@pytest.fixture
def borealis(directory: Path) -> Borealis:
    def run(*arguments: str | Path, given: str = "") -> Done:
        return subprocess.run(
            [sys.executable, "-m", "mcp_server.cli", *arguments],
            env={**os.environ, "BOREALIS_STATE_DIR": str(directory), "COLUMNS": "200"},
            input=given,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def hosted(directory: Path) -> Iterator[Callable[[], None]]:
    """Has somebody host the clusters from here on, if nobody does: addresses stay the same."""
    opened = []
    yield lambda: opened.append(Runtime.open(directory, warm_pool_size=0))
    for runtime in opened:
        runtime.close()


@NEEDS_PSQL
@pytest.mark.parametrize("password", [[], ["--password"]], ids=["token", "password"])
def test_what_url_prints_opens_the_cluster_in_psql(
    borealis: Borealis, hosted: Callable[[], None], password: list[str]
) -> None:
    said = borealis("url", "here", *password)
    assert said.returncode == 0, said.stderr
    hosted()
    command = ["psql", said.stdout.strip(), "-Atc", "select x from t"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_the_password_of_the_master_user_stays(
    borealis: Borealis, hosted: Callable[[], None]
) -> None:
    first = borealis("url", "here", "--password").stdout
    assert "X-Amz" not in first
    assert borealis("url", "here", "--password").stdout == first
    hosted()
    with psycopg.connect(first.strip()) as conn:
        assert conn.execute("select current_user").fetchone() == ("postgres",)


def test_another_password_in_a_uri_leaves_the_rest() -> None:
    assert address.with_password("postgresql://a%40b:x%2Fy@h:1/d?e=f", "p/q") == (
        "postgresql://a%40b:p%2Fq@h:1/d?e=f"
    )


def test_a_uri_in_parts_and_for_the_reader(borealis: Borealis) -> None:
    parts = json.loads(borealis("url", "here", "--reader", "--database", "other", "--json").stdout)
    assert parts["dbname"] == "other"
    assert "cluster-ro-" in parts["host"]
    assert (parts["hostaddr"], parts["sslmode"]) == ("127.0.0.1", "verify-full")
    assert Path(parts["sslrootcert"]).exists()
    assert parts["password"].startswith(f"{parts['host']}:{parts['port']}/")
    assert psycopg.conninfo.conninfo_to_dict(parts["url"])["user"] == parts["user"] == "postgres"


def test_a_uri_by_the_port_that_all_endpoints_share(
    borealis: Borealis, hosted: Callable[[], None]
) -> None:
    own, shared = (borealis("url", "here", *more, "--json") for more in ([], ["--shared"]))
    assert shared.returncode == 0, shared.stderr
    by_own, by_shared = json.loads(own.stdout), json.loads(shared.stdout)
    assert by_own["host"] == by_shared["host"]
    assert by_own["port"] != by_shared["port"]
    hosted()
    for parts in (by_own, by_shared):
        with psycopg.connect(parts["url"]) as conn:
            assert conn.execute("select x from t").fetchone() == (5,)


@NEEDS_PSQL
def test_the_variables_are_read_by_a_shell_and_by_psql(
    borealis: Borealis, hosted: Callable[[], None]
) -> None:
    said = borealis("url", "here", "--env", "--password").stdout
    names = [line.partition("=")[0] for line in said.splitlines()]
    assert {"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLROOTCERT"} < {*names}
    assert names[-1] == "DATABASE_URL"
    hosted()
    script = 'set -a; eval "$1"; psql -Atc "select x from t"; psql "$DATABASE_URL" -Atc "select 6"'
    done = subprocess.run(["sh", "-c", script, "sh", said], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("5\n6\n", "")


@NEEDS_PSQL
def test_psql_takes_commands_files_arguments_and_standard_input(
    borealis: Borealis, tmp_path: Path
) -> None:
    (tmp_path / "one.sql").write_text("select x + 1\nfrom t;")
    done = borealis(
        *("psql", "here", "-c", "select 1", "-c", "select 2"),
        *("-f", tmp_path / "one.sql", "-f", "-", "--", "-A", "-t"),
        given="select 7;",
    )
    assert (done.stdout, done.returncode) == ("1\n2\n6\n7\n", 0)
    done = borealis("psql", "here", "--", "-At", given="select 8;")
    assert done.stdout == "8\n"


def test_the_builtin_shell_takes_files_and_standard_input(
    borealis: Borealis, tmp_path: Path
) -> None:
    (tmp_path / "one.sql").write_text("select 40 +\n 1 as a;\nselect 50 as b;\n")
    options = ("--builtin", "-c", "select 30 as c", "-f", tmp_path / "one.sql", "-f", "-")
    done = borealis("psql", "here", *options, given="select 60 as d")
    assert done.returncode == 0, done.stderr
    assert [number for number in ("30", "41", "50", "60") if number not in done.stdout] == []
    (tmp_path / "wrong.sql").write_text("select 1/0;")
    done = borealis("psql", "here", "--builtin", "-f", tmp_path / "wrong.sql")
    assert done.returncode == 1
    assert "division by zero" in done.stderr
    done = borealis("psql", "here", "--builtin", "-f", tmp_path / "missing.sql")
    assert done.stderr.startswith(f"error: cannot read {tmp_path / 'missing.sql'}")
    done = borealis("psql", "here", "--builtin", "--", "-At")
    assert done.returncode == 1
    assert "'-At' is for psql" in done.stderr or "-At is for psql" in done.stderr


def test_a_program_finds_the_cluster_in_its_environment(borealis: Borealis) -> None:
    program = (
        "import os, psycopg, sys\n"
        "for conninfo in ('', os.environ['DATABASE_URL']):\n"
        "    print(psycopg.connect(conninfo).execute('select current_database()').fetchone()[0])\n"
        "print(sys.stdin.read()); sys.exit(9)"
    )
    options = ("--database", "other", "--password")
    done = borealis("exec", "here", *options, "--", sys.executable, "-c", program, given="typed")
    assert (done.stdout, done.returncode) == ("other\nother\ntyped\n", 9), done.stderr
    done = borealis("exec", "here", "--", "no-such-program")
    assert done.returncode == 1
    assert "no program 'no-such-program'" in done.stderr
    assert borealis("exec", "nowhere", "--", "true").returncode == 1


def completed(directory: Path, line: str, **environment: str) -> Done:
    return subprocess.run(
        [Path(sys.executable).with_name("borealis")],  # by the name that shells complete
        env={
            **os.environ,
            "BOREALIS_STATE_DIR": str(directory),
            "_BOREALIS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            **environment,
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "command", ["describe", "psql", "delete", "url", "logs", "top", "fault heal"]
)
def test_a_shell_completes_the_names_of_clusters(directory: Path, command: str) -> None:
    assert completed(directory, f"borealis {command} he").stdout.split() == ["here"]
    assert completed(directory, f"borealis {command} x").stdout.split() == []


def test_a_completion_reads_the_directory_that_the_line_names(
    directory: Path, tmp_path: Path
) -> None:
    assert completed(tmp_path, "borealis describe h").stdout.strip() == ""
    line = f"borealis describe --state-dir {directory} h"
    assert completed(tmp_path, line).stdout.split() == ["here"]
    (tmp_path / "catalog.sqlite").write_text("no catalog")
    done = completed(tmp_path, "borealis describe h")
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_completion_works_while_somebody_hosts(
    directory: Path, hosted: Callable[[], None]
) -> None:
    hosted()
    assert completed(directory, "borealis describe ").stdout.split() == ["here"]
