"""What a tool call costs over the query itself: run_query against psycopg, on one cluster.

The peer opens a connection through the gateway, runs the same statement in a READ ONLY transaction
of the same role, and closes it. The tool does that too, after the guard, and renders the rows.

    python bench/tools.py [--rounds 50]
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
from mcp import Client, StdioServerParameters
from report import show, write_json

OPTIONS = ("--read-only", "--cluster", "bench", "--create")
STATEMENTS = {
    "one row": "select 1",
    "1000 rows": "select n, n::text, now() from generate_series(1, 1000) as n",
}


async def median_ms(rounds: int, work: Callable[[], Awaitable[None]]) -> float:
    """Median milliseconds of a call, after one that warms up."""
    await work()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


async def measure(state_dir: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Statement -> client -> median milliseconds."""
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "mcp_server", "--state-dir", str(state_dir), *OPTIONS],
        env=dict(os.environ),
    )
    found: dict[str, dict[str, float]] = {}
    async with Client(server) as client:
        await client.list_tools()
        described = await client.call_tool("describe_cluster", {"include_connection_string": True})
        dsn = described.structured_content["connection_string"]
        for name, sql in STATEMENTS.items():

            async def directly(sql: str = sql) -> None:
                async with await psycopg.AsyncConnection.connect(dsn) as connection:
                    await connection.set_read_only(True)
                    await (await connection.execute(sql)).fetchall()

            async def by_tool(sql: str = sql) -> None:
                answer = await client.call_tool("run_query", {"sql": sql, "limit": 1000})
                assert not answer.is_error, answer.content[0].text

            found[name] = {
                "psycopg": await median_ms(rounds, directly),
                "run_query over stdio": await median_ms(rounds, by_tool),
            }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        found = asyncio.run(measure(folder / "state", rounds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(
        "a read over MCP, median milliseconds",
        ["call", "median ms", "times psycopg"],
        [
            (f"{statement}, {client}", took, took / medians["psycopg"])
            for statement, medians in found.items()
            for client, took in medians.items()
        ],
    )
    write_json("tools", {"rounds": rounds, "median_ms": found})


if __name__ == "__main__":
    main()
