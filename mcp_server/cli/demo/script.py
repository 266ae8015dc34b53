"""What the demo does, step by step, over the MCP tools as a client sees them.

The MCP server is a process of its own, on standard input and output, and hosts the clusters. The
agents are processes of their own too and connect by themselves: each gets a connection string
with a token of 15 minutes, in its environment.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent
from rich.console import Console
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from mcp_server.answers.pages import data_of
from mcp_server.cli import console as drawing
from mcp_server.cli.demo import DSN_VARIABLE, shop
from mcp_server.errors import McpServerError
from mcp_server.results import QuestionAnswer

CLUSTER, SCRATCH = "demo-shop", "demo-scratch"
AUTO_PAUSE_SECONDS = 5
PAUSE_PATIENCE_SECONDS = 60
LOOKS_A_SECOND = 10
ROWS_SHOWN = 5
FACT = "my favourite colour is blue"
QUESTION = "What is my favourite colour?"


class DemoError(McpServerError):
    """A step of the demo did not do what it shows. The message says which, and what came."""


@dataclass(slots=True)
class Demo:
    """One run: the client, where to draw, and how long each step took."""

    client: Client
    out: Console
    timings: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Draw a step while it runs, and note its time."""
        started = time.perf_counter()
        with self.out.status(title):
            yield
        elapsed = time.perf_counter() - started
        self.timings.append((title, elapsed))
        self.out.print(Text.assemble(("✓ ", "green"), title, (f"  {_duration(elapsed)}", "cyan")))

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool. Raises DemoError with its words when it fails."""
        result = await self.client.call_tool(tool, arguments)
        texts = [each.text for each in result.content if isinstance(each, TextContent)]
        if result.is_error:
            raise DemoError(f"the tool {tool} failed: {' '.join(texts)}")
        answer: dict[str, Any] = json.loads(data_of(texts))
        return answer


def run(state_dir: Path | None, out: Console | None = None) -> int:
    """Run the demo; returns the exit status. Without a state directory, nothing is kept."""
    out = out or Console()
    if state_dir is not None:
        asyncio.run(_run(state_dir.expanduser(), out))  # the server makes the directory
        return 0
    folder = Path(tempfile.mkdtemp(prefix="borealis-demo-"))
    folder.chmod(0o711)
    try:
        asyncio.run(_run(folder / "state", out))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _run(state_dir: Path, out: Console) -> None:
    out.print(Panel("Borealis: PostgreSQL clusters for agents, over MCP", expand=False))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        started = time.perf_counter()
        failure = None
        async with Client(stdio_client(_server(state_dir), errlog=log)) as client:
            demo = Demo(client, out)
            demo.timings.append(("start the MCP server", time.perf_counter() - started))
            try:
                await _work(demo)
            except (DemoError, MCPError) as error:
                failure = error  # raised outside the block, whose task groups would wrap it
        if failure is not None:
            _show_log(log)
            raise DemoError(str(failure)) from failure
    _table_of_timings(demo)


def _server(state_dir: Path) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "--state-dir", str(state_dir), "--hosted-by", "process"],
        env=dict(os.environ),
    )


async def _work(demo: Demo) -> None:
    await _create_and_load(demo)
    await _show_schema(demo)
    await _ask(demo)
    await _scratch(demo)
    await _remember_and_recall(demo)
    await _pause_and_wake(demo)


async def _create_and_load(demo: Demo) -> None:
    with demo.step("create a cluster"):
        await demo.call(
            "create_cluster", cluster=CLUSTER, seconds_until_auto_pause=AUTO_PAUSE_SECONDS
        )
    with demo.step("create the tables of a shop"):
        await demo.call("execute_sql", cluster=CLUSTER, sql=shop.SCHEMA)
    tables = shop.tables()
    count = sum(len(table.rows) for table in tables)
    with demo.step(f"load {count:,} rows"):
        for table in tables:
            for insert in table.inserts():
                await demo.call("execute_sql", cluster=CLUSTER, sql=insert)
        await demo.call("execute_sql", cluster=CLUSTER, sql="analyze")


async def _show_schema(demo: Demo) -> None:
    with demo.step("describe the tables"):
        answer = await demo.call("describe_tables", cluster=CLUSTER, detail="full", format="json")
    drawn = Table("Table", "Rows", "Columns", "References")
    for table in answer["tables"]:
        drawn.add_row(
            table["name"],
            f"{table['estimated_rows']:,}",
            ", ".join(name for name, *_ in table["columns"]),
            ", ".join(key["references"] for key in table.get("foreign_keys", ())),
        )
    demo.out.print(drawn)


async def _ask(demo: Demo) -> None:
    for question in shop.QUESTIONS:
        demo.out.rule(Text(question), align="left")
        with demo.step(f"ask: {question}"):
            found = await demo.call("ask", cluster=CLUSTER, question=question)
        answer = QuestionAnswer(**found)
        drawing.answer(answer, demo.out, ROWS_SHOWN)
        if not answer.answered:
            raise DemoError(f"{question!r} was declined: {answer.reason}")
    demo.out.rule(Text(shop.BESIDE_THE_POINT), align="left")
    with demo.step(f"ask: {shop.BESIDE_THE_POINT}"):
        declined = await demo.call("ask", cluster=CLUSTER, question=shop.BESIDE_THE_POINT)
    drawing.answer(QuestionAnswer(**declined), demo.out)


async def _scratch(demo: Demo) -> None:
    demo.out.rule("A scratch cluster for a task", align="left")
    with demo.step("create another cluster, which was kept warm"):
        await demo.call("create_cluster", cluster=SCRATCH)
    with demo.step("read its first row"):
        await demo.call("run_query", cluster=SCRATCH, sql="select version()")
    with demo.step("delete it"):
        await demo.call("delete_cluster", cluster=SCRATCH)


async def _remember_and_recall(demo: Demo) -> None:
    demo.out.rule("An agent with memory", align="left")
    with demo.step("tell an agent something; its process ends"):
        first = await _say(demo, f"Please remember: {FACT}")
    demo.out.print(f"  process {first['pid']}: {first['reply']}")
    with demo.step("ask a new process"):
        second = await _say(demo, QUESTION)
    demo.out.print(
        f"  process {second['pid']}, which found {second['messages_before']} messages of the "
        f"conversation: [bold]{second['reply']}[/bold]"
    )
    if FACT not in second["reply"]:
        raise DemoError(f"the second process did not remember: {second['reply']!r}")


async def _say(demo: Demo, text: str) -> dict[str, Any]:
    """Say one thing to the agent in a process of its own, and wait for its end."""
    facts = await demo.call("describe_cluster", cluster=CLUSTER, include_connection_string=True)
    process = await anyio.run_process(
        [sys.executable, "-m", "mcp_server.cli.demo.agent", text],
        env=os.environ | {DSN_VARIABLE: facts["connection_string"]},
        check=False,
    )
    if process.returncode:
        raise DemoError(f"the agent failed: {process.stderr.decode(errors='replace')}")
    reply: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return reply


async def _pause_and_wake(demo: Demo) -> None:
    demo.out.rule("Pause and wake", align="left")
    with demo.step(f"idle for {AUTO_PAUSE_SECONDS} s until the cluster pauses by itself"):
        await _until_paused(demo)
    with demo.step("wake it with a query"):
        answer = await demo.call(
            "run_query", cluster=CLUSTER, sql="select count(*) as orders from orders"
        )
    demo.out.print(f"  {answer['rows'][0][0]:,} orders are still there")
    with demo.step("query it again"):
        await demo.call("run_query", cluster=CLUSTER, sql="select count(*) from orders")


async def _until_paused(demo: Demo) -> None:
    """Look at the cluster, which does not wake it, until it is asleep."""
    for _ in range(PAUSE_PATIENCE_SECONDS * LOOKS_A_SECOND):
        if (await demo.call("describe_cluster", cluster=CLUSTER))["paused"]:
            return
        await anyio.sleep(1 / LOOKS_A_SECOND)
    raise DemoError(f"the cluster did not pause within {PAUSE_PATIENCE_SECONDS} s")


def _table_of_timings(demo: Demo) -> None:
    table = Table("Step", Column("Time", justify="right"), title="Timings", title_justify="left")
    for title, seconds in demo.timings:
        table.add_row(Text(title), _duration(seconds))
    demo.out.print(table)


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _show_log(log: TextIO) -> None:
    log.seek(0)
    said = log.read().strip()
    if said:
        Console(stderr=True).print(Panel(Text(said), title="log of the MCP server"))
