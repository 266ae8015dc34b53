"""The README's examples run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```", README, re.M | re.S)


@pytest.mark.parametrize(
    "example", [code for _, code in EXAMPLES], ids=[title for title, _ in EXAMPLES]
)
def test_the_example_runs(example: str, engine_dir: Path) -> None:
    environment = {**os.environ, "HOME": str(engine_dir)}
    done = subprocess.run(
        [sys.executable, "-c", example], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_commands_run(engine_dir: Path) -> None:
    (block,) = re.findall(r"^## Command line\n.*?^```sh\n(.*?)^```", README, re.M | re.S)
    commands, serve = block[: block.index("borealis serve")], block[block.index("borealis serve") :]
    assert len(serve.splitlines()) == 1, "this one never ends; test_cli.py runs it"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", commands],
        env={**os.environ, "HOME": str(engine_dir), "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "SELECT COUNT(*) FROM book" in done.stdout


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 2


def test_every_page_that_is_linked_exists() -> None:
    root = Path(__file__).parent.parent
    linked = re.findall(r"\]\(((?!http)[^)#]+)", README)
    assert [link for link in linked if not (root / link).exists()] == []
