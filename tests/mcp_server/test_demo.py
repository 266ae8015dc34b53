"""The demo does what it shows, ends with status 0, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

from mcp_server.demo import shop

STEPS = [
    "start the MCP server",
    "create a cluster",
    "load 4,690 rows",
    "describe the tables",
    *(f"ask: {question}" for question in shop.QUESTIONS),
    "tell an agent something; its process ends",
    "ask a new process",
    "until the cluster pauses by itself",
    "wake it with a query",
]


def test_the_demo_shows_everything_and_leaves_nothing(state_dir: Path) -> None:
    folder = state_dir / "demo"
    folder.mkdir(mode=0o711)
    done = subprocess.run(
        [sys.executable, "-m", "mcp_server.cli", "demo"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "160", "TMPDIR": str(folder)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for step in STEPS:
        assert step in done.stdout
    assert "You told me that my favourite colour is blue." in done.stdout
    assert "SELECT" in done.stdout
    assert "3,000 orders are still there" in done.stdout
    assert "Timings" in done.stdout
    assert "X-Amz" not in done.stdout + done.stderr
    assert not list(folder.iterdir())


def test_the_shop_is_the_same_at_every_run() -> None:
    assert shop.tables() == shop.tables()
    assert sum(len(table.rows) for table in shop.tables()) == 4690
