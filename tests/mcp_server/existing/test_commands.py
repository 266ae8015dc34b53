"""`borealis mcp --dsn` and `borealis ask --dsn`: as processes, and what is refused without one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from mcp_server.cli.commands import main
from tests.mcp_server.conftest import told
from tests.mcp_server.existing.conftest import SECRET, VERSIONS, PlainServer

NEWEST = pytest.mark.parametrize("plain", VERSIONS[:1], indirect=True)
"""What older servers answer, other tests ask without a process of their own."""

AS_A_USER = {"HOME": "/nonexistent", "COLUMNS": "300"}


def borealis(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "mcp_server.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | AS_A_USER | variables,
    )


@NEWEST
async def test_a_client_reads_over_stdio_and_no_state_directory_is_made(
    plain: PlainServer, tmp_path: Path
) -> None:
    dsns = f"{plain.dsn()}\nnight={plain.dsn('quiet')}"
    variables = {"BOREALIS_DATABASES": dsns, "HOME": str(tmp_path / "home")}
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "mcp_server"], env=os.environ | variables
    )
    with (tmp_path / "log").open("w+") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            answer = await client.call_tool(
                "run_query", {"cluster": "night", "sql": "select current_user"}
            )
            assert told(answer)["rows"] == [["quiet"]]
        log.seek(0)
        said = log.read()
    assert "alter role clerk set log_min_messages = fatal" in said.replace("\n", " ")
    assert SECRET not in said
    assert not (tmp_path / "home").exists()


@NEWEST
def test_a_question_alone_follows_a_connection_string(plain: PlainServer) -> None:
    asked = borealis("ask", "--dsn", plain.dsn(), "how many customers are there?")
    assert asked.returncode == 0, asked.stderr
    assert "3" in asked.stdout
    assert "~/.pgpass" in asked.stderr  # a password in arguments is no secret
    assert SECRET not in asked.stdout + asked.stderr
    quiet = borealis("ask", "how many customers are there?", BOREALIS_DATABASES=plain.dsn())
    assert (quiet.returncode, quiet.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["mcp", "--dsn", f"postgresql://u:{SECRET}@x@h/d"], 1, "no connection string"),
        (["mcp", "--dsn", "postgresql://h/d", "--cluster", "x"], 1, "give one of them"),
        (["mcp", "--dsn", "postgresql://h/d", "--create"], 1, "--create makes a cluster"),
        (["mcp", "--region", "eu-west-1"], 1, "--region needs --cluster"),
        (["mcp", "--dsn", "postgresql://h/d", "--dsn", "postgresql://i/d"], 1, "NAME=URI"),
        (["ask", "--dsn", "postgresql://h/d", "shop", "how many?"], 1, "no cluster"),
        (["ask", "how many?"], 2, "question in English must follow"),
        (
            ["ask", "--dsn", "postgresql://127.0.0.1:1/d", "how many?"],
            1,
            "(the connection string says where it is looked for, and as whom)",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    said: str,
) -> None:
    for name, value in (AS_A_USER | {"BOREALIS_DATABASES": ""}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    shown = capfd.readouterr().err
    assert ended.value.code == status, shown
    assert said in shown
    assert SECRET not in shown
    assert "CLUSTER tells" not in shown
    if status == 1:
        assert len(shown.splitlines()) == 1
