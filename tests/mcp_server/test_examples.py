"""Every example runs as it is, and prints what it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

PROMISES = {
    "mcp_client.py": ["books ['id', 'title', 'author', 'year']", "[['Emma']", "-> [[3]]"],
    "langgraph_agent.py": [
        "human: What is my favourite colour?",
        "ai: My favourite colour is blue.",
    ],
    "scratch_database.py": ["[('the', 2), ('and', 1)]", "[('row', 3), ('boat', 1)]"],
}


def test_every_example_is_listed_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROMISES)


@pytest.mark.parametrize("name", PROMISES)
def test_an_example_prints_what_it_promises(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for promise in PROMISES[name]:
        assert promise in done.stdout
