"""What a command loads: its own work, and not what other commands need."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

HEAVY = {
    *("anyio", "botocore", "cryptography", "langchain", "langchain_core", "langchain_postgres"),
    *("langgraph", "langsmith", "mcp", "memory", "numpy", "pgvector", "psycopg", "psycopg_pool"),
    *("pydantic", "snowballstemmer", "sqlglot", "starlette", "structlog", "uvicorn", "uvloop"),
}
LIGHT_PARTS = {"mcp_server.nl2sql", "mcp_server.nl2sql.errors", "mcp_server.nl2sql.words"}
REPORT = "\nimport json, sys; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
RUN = """
from mcp_server.cli.commands import main
try:
    main({arguments!r})
except SystemExit as ended:
    assert not ended.code, ended.code
"""


def loaded(code: str) -> tuple[set[str], set[str]]:
    """The packages and the modules of the translator that a program has loaded at its end."""
    done = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modules = json.loads(done.stderr.splitlines()[-1])
    translator = {name for name in modules if name.startswith("mcp_server.nl2sql")}
    return {name.partition(".")[0] for name in modules}, translator - LIGHT_PARTS


def test_to_import_the_command_line_loads_nothing_heavy() -> None:
    packages, translator = loaded("import mcp_server.cli.commands")
    assert packages & HEAVY == set()
    assert translator == set()


def test_a_completion_loads_nothing_heavy(tmp_path: Path) -> None:
    shell = {
        "_BOREALIS_COMPLETE": "complete_bash",
        "BOREALIS_STATE_DIR": str(tmp_path),
        "COMP_WORDS": "borealis describe n",
        "COMP_CWORD": "2",
    }
    begin = f"import os, sys; os.environ |= {shell!r}; sys.argv = ['borealis']"
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite")) as catalog:
        catalog.execute("create table db_cluster (identifier text)")
        catalog.execute("insert into db_cluster values ('notes')")
        catalog.commit()
    packages, translator = loaded(begin + RUN.format(arguments=[]).replace("main([])", "main()"))
    assert "sqlite3" in packages  # it has looked
    assert packages & HEAVY == set()
    assert translator == set()


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["--version"], ["create", "--help"], ["storage", "--help"]),
        *(["init", "cursor", "--print"], ["config"]),
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    packages, translator = loaded(RUN.format(arguments=arguments))
    assert packages & (HEAVY - {"pydantic"}) == set()  # which Typer loads where it is there
    assert translator == set()


@pytest.mark.parametrize(
    ("arguments", "more"), [(["list"], set()), (["list", "--json"], {"pydantic"})]
)
def test_a_command_about_clusters_loads_what_they_need(
    arguments: list[str], more: set[str], engine_dir: Path
) -> None:
    where = ["--state-dir", str(engine_dir / "state")]
    packages, translator = loaded(RUN.format(arguments=[*arguments, *where]))
    assert packages & (HEAVY - more) == set()
    assert translator == set()


def test_the_runtime_alone_loads_no_signer_and_no_log_writer() -> None:
    packages, _ = loaded("from cluster_runtime import Runtime")
    assert packages & {"botocore", "structlog", "numpy", "sqlglot", "mcp", "langgraph"} == set()


def test_the_translator_is_still_there_for_whoever_asks() -> None:
    packages, translator = loaded("from mcp_server.nl2sql import Translator, Translation")
    assert "sqlglot" in packages
    assert "mcp_server.nl2sql.translator" in translator
