"""The wheel: it installs into an empty environment, by the name it has, and does the main job."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parent.parent
COUNT = "how many books are there?"
TABLE = "create table book (id int primary key, title text); insert into book values (1, 'SICP')"
ADAPTERS = "langchain-mcp-adapters"
AGENT = """
from importlib.metadata import version
from langchain_mcp_adapters.client import MultiServerMCPClient
from memory import BorealisSaver
from borealis import Runtime
assert version("mcp").startswith("1."), version("mcp")
"""


def run(*command: "str | Path", cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command far from the checkout, so that nothing is imported from there."""
    environment = {**os.environ, "HOME": str(cwd), "PYTHONPATH": ""}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def the_first_five_minutes(borealis: Path, home: Path) -> None:
    """init, create, url, psql, ask: what README says, by somebody who has Cursor."""
    (home / ".cursor").mkdir()
    done = run(borealis, "init", cwd=home)
    assert done.returncode == 0, done.stderr
    entry = json.loads((home / ".cursor/mcp.json").read_text())["mcpServers"]["borealis"]
    assert entry == {"command": str(borealis), "args": ["mcp"]}
    for _ in range(2):
        done = run(borealis, "create", "x", "--if-not-exists", cwd=home)
        assert done.returncode == 0, done.stderr
    said = run(borealis, "url", "x", cwd=home)
    assert said.returncode == 0, said.stderr
    if shutil.which("psql"):
        psql = ("psql", said.stdout.strip(), "-v", "ON_ERROR_STOP=1")
        done = run(*psql, "-c", TABLE, "-Atc", "select title from book", cwd=home)
        assert done.stdout.splitlines()[-1:] == ["SICP"], done.stderr
    else:
        with psycopg.connect(said.stdout.strip()) as conn:
            conn.execute(TABLE)
    answer = run(borealis, "ask", "x", COUNT, "--json", cwd=home)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["sql"] == "SELECT COUNT(*) FROM book"
    assert found["result"]["rows"] == [[1]]
    assert run(borealis, "delete", "x", "--yes", cwd=home).returncode == 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_wheel_in_an_empty_environment_runs_the_demo(tmp_path: Path, engine_dir: Path) -> None:
    built = run("make", "-C", ROOT, "dist", f"DIST={tmp_path / 'dist'}", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("borealis_postgres-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"borealis", "cluster_runtime", "mcp_server", "memory"}
    assert {f"{package}/py.typed" for package in packages} <= set(names)

    venv.create(tmp_path / "venv", with_pip=True)
    python, borealis = tmp_path / "venv/bin/python", tmp_path / "venv/bin/borealis"
    pip = (python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt")
    installed = run(*pip, wheel, cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr

    refused = run(borealis, "demo", cwd=engine_dir)
    assert refused.returncode == 1
    assert "pip install 'borealis-postgres[mcp]'" in refused.stderr

    # Its adapter holds mcp below 2; what it is used with works beside it, and the server says so.
    adapted = run(python, "-m", "pip", "install", "--quiet", ADAPTERS, cwd=tmp_path)
    assert adapted.returncode == 0, adapted.stderr
    assert "incompatible" not in adapted.stderr
    agent = run(python, "-c", AGENT, cwd=engine_dir)
    assert agent.returncode == 0, agent.stderr
    refused = run(borealis, "mcp", cwd=engine_dir)
    assert refused.returncode == 1
    assert "pip install 'borealis-postgres[mcp]'" in refused.stderr
    removed = run(python, "-m", "pip", "uninstall", "--quiet", "--yes", ADAPTERS, cwd=tmp_path)
    assert removed.returncode == 0, removed.stderr

    installed = run(*pip, f"{wheel}[mcp]", cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    the_first_five_minutes(borealis, engine_dir)
    shown = run(borealis, "demo", cwd=engine_dir)
    assert shown.returncode == 0, shown.stderr + shown.stdout
    assert "wake it with a query" in shown.stdout
    public = run(python, "-c", "from borealis import *; print(Runtime, Translator)", cwd=engine_dir)
    assert sys.prefix not in public.stdout
    assert "cluster_runtime.runtime.Runtime" in public.stdout
