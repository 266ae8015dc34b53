"""What a command loads: its own work, and not what other commands need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    *("anyio", "botocore", "cryptography", "langchain", "langchain_core", "langchain_postgres"),
    *("langgraph", "langsmith", "mcp", "memory", "numpy", "pgvector", "psycopg", "psycopg_pool"),
    *("pydantic", "snowballstemmer", "sqlglot", "starlette", "structlog", "uvicorn", "uvloop"),
}
NOT_FOR_CLUSTERS = HEAVY - {"cryptography", "psycopg", "pydantic", "uvloop"}
LIGHT_PARTS = {"mcp_server.nl2sql", "mcp_server.nl2sql.errors"}
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


@pytest.mark.parametrize("arguments", [["--help"], ["create", "--help"], ["storage", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    packages, translator = loaded(RUN.format(arguments=arguments))
    assert packages & (HEAVY - {"pydantic"}) == set()  # which Typer loads where it is there
    assert translator == set()


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"]])
def test_a_command_about_clusters_loads_what_they_need(
    arguments: list[str], engine_dir: Path
) -> None:
    where = ["--state-dir", str(engine_dir / "state")]
    packages, translator = loaded(RUN.format(arguments=[*arguments, *where]))
    assert packages & NOT_FOR_CLUSTERS == set()
    assert translator == set()


def test_the_runtime_alone_loads_no_signer_and_no_log_writer() -> None:
    packages, _ = loaded("from cluster_runtime import Runtime")
    assert packages & {"botocore", "structlog", "numpy", "sqlglot", "mcp", "langgraph"} == set()


def test_the_translator_is_still_there_for_whoever_asks() -> None:
    packages, translator = loaded("from mcp_server.nl2sql import Translator, Translation")
    assert "sqlglot" in packages
    assert "mcp_server.nl2sql.translator" in translator
