"""`python -m mcp_server --http` as a process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

ENDS_SECONDS = 120


@dataclass
class HttpServer:
    """A server that serves. said: the lines that it writes on standard error, all at its end."""

    url: str
    said: list[str] = field(default_factory=list)


@contextmanager
def http_server(*arguments: str) -> Iterator[HttpServer]:
    """A server with these arguments at a port of its own, until it is told to end."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mcp_server", "--http", "--port", "0", "--warm-pool", "0"),
            *arguments,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    )
    first = process.stderr.readline()
    server = HttpServer(first.split()[-1], [first])
    # What nobody reads would hold it up in the end.
    reading = threading.Thread(target=lambda: server.said.extend(process.stderr))
    reading.start()
    try:
        assert "MCP server at" in first
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(ENDS_SECONDS)
        reading.join()
        process.stderr.close()
    assert ended == 0
