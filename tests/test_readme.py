"""The README's examples run as they stand there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_server.cli.clients.known import Client, known

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", README, re.M | re.S)

TWICE = """
import sys
for again in (False, True):
    if again:
        print("AGAIN")
    exec(sys.argv[1], {"__name__": "__main__"})
"""
"""Who copies an example runs it again."""


@pytest.mark.parametrize(
    "example", [code for _, code in EXAMPLES], ids=[title for title, _ in EXAMPLES]
)
def test_the_example_runs(example: str, engine_dir: Path) -> None:
    environment = {**os.environ, "HOME": str(engine_dir)}
    done = subprocess.run(
        [sys.executable, "-c", TWICE, example], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split("AGAIN\n")
    assert first
    assert second


@pytest.mark.parametrize("client", known(Path("~"), {}, "linux"), ids=lambda one: one.name)
def test_the_block_of_a_client_is_the_one_that_init_writes(client: Client) -> None:
    (said, block) = re.findall(
        rf"^{client.title}, ((?:(?!\n\n).)*):\n\n```json\n(.*?)^```", README, re.M | re.S
    )[0]
    entry = client.entry("/path/to/.venv/bin/borealis", ["mcp"])
    assert json.loads(block) == {client.key: {"borealis": entry}}
    mac = next(one for one in known(Path("~"), {}, "darwin") if one.name == client.name)
    assert f"`{client.file}`" in said or f"`{mac.file}`" in said
    if client.project_file is not None:
        assert f"`{client.project_file}` in a project" in " ".join(said.split())


def test_the_commands_run(engine_dir: Path) -> None:
    """Of all blocks from the first cluster on, one after the other, as somebody reads on."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    lines = "".join(blocks[[block.startswith("borealis init") for block in blocks].index(True) :])
    commands, serve = lines[: lines.index("borealis serve")], lines[lines.index("borealis serve") :]
    assert len(serve.splitlines()) == 1, "this one never ends; test_cli.py runs it"
    away = engine_dir / "bin"  # what else a machine may have, such as psql, is not needed
    away.mkdir()
    (away / "borealis").symlink_to(Path(sys.executable).with_name("borealis"))
    (away / "sh").symlink_to("/bin/sh")
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", commands],
        env={**os.environ, "HOME": str(engine_dir), "PATH": str(away)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "SELECT COUNT(*) FROM note" in done.stdout
    assert "SELECT COUNT(*) FROM book" in done.stdout
    assert "written_at" in done.stdout


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


def test_every_page_that_is_linked_exists() -> None:
    root = Path(__file__).parent.parent
    linked = re.findall(r"\]\(((?!http)[^)#]+)", README)
    assert [link for link in linked if not (root / link).exists()] == []


def test_every_page_is_linked() -> None:
    docs = Path(__file__).parent.parent / "docs"
    pages = {f"docs/{each.name}" for each in docs.glob("*.md")}
    of_no_subject = {"docs/STYLE.md", "docs/index.md"}
    assert pages - of_no_subject <= set(re.findall(r"\]\(([^)#]+)", README))
