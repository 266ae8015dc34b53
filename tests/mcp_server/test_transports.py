"""The server as a process: over standard input and output, and over HTTP on loopback."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cluster_runtime.engine.system.processes import wait_until_gone
from mcp_server.access.doors import by_file, guarded
from mcp_server.cli.commands import main
from mcp_server.errors import ScopeError
from mcp_server.server import listen, own_names
from tests.mcp_server.conftest import told
from tests.mcp_server.processes import http_server

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def server(*arguments: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "--warm-pool", "0", *arguments],
        env=dict(os.environ),
    )


@pytest.fixture
def patient_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client kills a server that takes 2 s to close its clusters; a busy machine takes longer."""
    monkeypatch.setattr("mcp.client.stdio.PROCESS_TERMINATION_TIMEOUT", 60.0)


@pytest.mark.usefixtures("patient_client")
async def test_a_client_works_over_stdio_and_the_next_one_finds_its_work(
    state_dir: Path, tmp_path: Path
) -> None:
    home = str(state_dir / "stdio")
    with (tmp_path / "log").open("w+") as log:
        async with Client(stdio_client(server("--state-dir", home), errlog=log)) as client:
            await client.call_tool("create_cluster", {"cluster": "notes"})
            await client.call_tool(
                "execute_sql", {"cluster": "notes", "sql": "create table t as select 42 as x"}
            )
        scoped = server("--state-dir", home, "--cluster", "notes", "--read-only")
        async with Client(stdio_client(scoped, errlog=log)) as client:
            assert {tool.name for tool in (await client.list_tools()).tools} == {
                "describe_cluster",
                "list_schemas",
                "read_more",
                "search_schema",
                "describe_tables",
                "run_query",
                "list_migrations",
                "ask",
            }
            answer = await client.call_tool("run_query", {"sql": "select x from t"})
            assert told(answer)["rows"] == [[42]]
        log.seek(0)
        assert log.read() == ""


@pytest.mark.parametrize(
    "told",
    [
        signal.SIGTERM,
        pytest.param(signal.SIGINT, marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, marks=pytest.mark.long),
    ],
)
def test_a_server_told_to_end_closes_its_clusters(state_dir: Path, told: signal.Signals) -> None:
    home = str(state_dir / told.name)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mcp_server", "--state-dir", home, "--warm-pool", "0"),
            *("--cluster", "one", "--create", "--hosted-by", "process"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    line = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":%s}\n'
    parameters = (
        '{"protocolVersion":"2025-06-18","capabilities":{},'
        '"clientInfo":{"name":"test","version":"1"}}'
    )
    process.stdin.write(line % parameters)
    process.stdin.flush()
    assert '"serverInfo"' in process.stdout.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(told)
    assert process.wait(60) == 0
    assert wait_until_gone(children, 60) == []
    process.stdin.close()
    process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cluster", "missing"], "no cluster 'missing'"),
        (["--create"], "--create needs --cluster"),
        (["--token-file", "x"], "--token-file needs --http"),
        (["--http", "--token-file", "/nonexistent"], "cannot read the token file"),
        (["--http", "--host", "0.0.0.0"], "127.0.0.1 or ::1 only"),
        (["--http", "--host", "example.org"], "not an IP address"),
    ],
)
def test_a_server_that_cannot_start_says_why_in_one_line(
    state_dir: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["mcp", "--state-dir", str(state_dir / "refused"), *arguments])
    captured = capfd.readouterr()
    assert exit_.value.code == 1
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


@pytest.fixture(scope="module")
def http_url(state_dir: Path) -> Iterator[str]:
    home = str(state_dir / "http")
    with http_server("--state-dir", home, "--cluster", "web", "--create") as served:
        yield served.url


async def test_clients_work_over_streamable_http(http_url: str) -> None:
    async with Client(http_url) as one, Client(http_url) as other:
        await one.call_tool("execute_sql", {"sql": "create table shared as select 7 as x"})
        answer = await other.call_tool("run_query", {"sql": "select x from shared"})
        assert told(answer)["rows"] == [[7]]


async def test_a_cursor_is_of_no_use_to_another_session(http_url: str) -> None:
    long = {"sql": "select n, repeat('x', 900) from generate_series(1, 300) n", "limit": 1000}
    async with (
        Client(http_url, mode="legacy") as one,
        Client(http_url, mode="legacy") as other,
    ):
        first = await one.call_tool("run_query", long)
        cursor = {"cursor": re.search(r'cursor="([^"]+)"', first.content[2].text)[1]}
        stolen = await other.call_tool("read_more", cursor)
        assert stolen.is_error
        assert "nothing waits" in stolen.content[0].text
        rest = await one.call_tool("read_more", cursor)
        again = await one.call_tool("read_more", cursor)
    read = [row[0] for row in told(first)["rows"]]
    assert told(rest)["rows"][0][0] == read[-1] + 1
    assert told(rest)["rows"] == told(again)["rows"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
    ],
)
def test_a_web_page_cannot_reach_the_server_by_rebinding_a_name(
    http_url: str, headers: dict[str, str], status: int
) -> None:
    answer = httpx.post(http_url, json=INITIALIZE, headers=ACCEPT | headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("given", "status"), [(None, 401), ("Bearer wrong", 401), ("Bearer s3cret-s3cret-s3cret", 200)]
)
async def test_a_token_is_asked_for_before_anything_else(given: str | None, status: int) -> None:
    async def reached(request: Request) -> Response:
        return PlainTextResponse("reached")

    inside = Starlette(routes=[Route("/mcp", reached, methods=["POST"])])
    app = guarded(inside, own_names(8765), by_file("s3cret-s3cret-s3cret"))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
        headers = {"Authorization": given} if given else {}
        answer = await client.post("/mcp", json=INITIALIZE, headers=headers)
    assert answer.status_code == status
    assert ("reached" in answer.text) == (status == 200)


def test_a_port_in_use_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ScopeError, match=f"port {port}"):
            listen("127.0.0.1", port)


def test_it_listens_on_ipv6_loopback_too() -> None:
    with listen("::1", 0) as socket:
        assert socket.getsockname()[0] == "::1"
