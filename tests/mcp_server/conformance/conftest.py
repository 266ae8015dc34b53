"""Servers as processes of their own, for programs that reach them over HTTP."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def process(*arguments: str, told: str) -> Iterator[str]:
    """A Python module as a process, and the last word of the line in which it tells its address.

    told: "stdout" or "stderr".
    """
    started = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE if told == "stdout" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if told == "stderr" else subprocess.DEVNULL,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    stream = getattr(started, told)
    try:
        yield stream.readline().split()[-1]
    finally:
        started.send_signal(signal.SIGTERM)
        stream.read()  # so that it is not held up by what nobody reads
        assert started.wait(120) == 0
        stream.close()


@pytest.fixture(scope="session")
def fixture_url() -> Iterator[str]:
    """A server that offers what the scenarios ask for."""
    with process("tests.mcp_server.conformance.fixture", told="stdout") as url:
        yield url


@pytest.fixture(scope="session")
def real_url(state_dir: Path) -> Iterator[str]:
    """The server of `borealis mcp`, with all its clusters and no confirmations."""
    home = state_dir / "conformance"
    with process(
        *("mcp_server", "--state-dir", str(home), "--http", "--port", "0", "--warm-pool", "0"),
        *("--allow-destructive", "--hosted-by", "process"),
        told="stderr",
    ) as url:
        yield url
