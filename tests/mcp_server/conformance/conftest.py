"""Servers as processes of their own, for programs that reach them over HTTP."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mcp_server.processes import http_server


@pytest.fixture(scope="session")
def fixture_url() -> Iterator[str]:
    """A server that offers what the scenarios ask for."""
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.mcp_server.conformance.fixture"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield started.stdout.readline().split()[-1]
    finally:
        started.send_signal(signal.SIGTERM)
        started.stdout.read()  # so that it is not held up by what nobody reads
        assert started.wait(120) == 0
        started.stdout.close()


@pytest.fixture(scope="session")
def real_url(state_dir: Path) -> Iterator[str]:
    """The server of `borealis mcp`, with all its clusters and no confirmations."""
    own = ("--state-dir", str(state_dir / "conformance"), "--hosted-by", "process")
    with http_server(*own, "--allow-destructive") as served:
        yield served.url
