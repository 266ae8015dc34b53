"""The demo does what it shows, ends with status 0, and leaves nothing behind."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.cli.demo import shop

STEPS = [
    "start the MCP server",
    "create a cluster",
    "load 4,690 rows",
    "describe the tables",
    *(f"ask: {question}" for question in shop.QUESTIONS),
    "declined: ",
    "create another cluster, which was kept warm",
    "tell an agent something; its process ends",
    "ask a new process",
    "until the cluster pauses by itself",
    "wake it with a query",
]

RIGHT = {
    "How many customers are from Germany?": (
        "select count(*) from customers where country = 'Germany'"
    ),
    "What are the 3 most expensive products?": (
        "select name from products order by price desc limit 3"
    ),
    "Show the average rating of each product category": (
        "select category, avg(rating) from reviews r join products p on p.id = r.product_id "
        "group by category"
    ),
    "List the names of products that have no reviews": (
        "select name from products p "
        "where not exists (select from reviews r where r.product_id = p.id)"
    ),
    "How many orders were returned in 2024?": (
        "select count(*) from orders where status = 'returned' "
        "and ordered_on between '2024-01-01' and '2024-12-31'"
    ),
}


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


@pytest.fixture(scope="session")  # a worker may come to this file twice
def demo_shop(runtime: Runtime) -> ClusterHandle:
    cluster = runtime.create_db_cluster("demo-shop")
    with cluster.connect(autocommit=True) as connection:
        connection.execute(shop.SCHEMA)
        for table in shop.tables():
            for insert in table.inserts():
                connection.execute(insert.encode())
        connection.execute("analyze")
    return cluster


def test_every_question_of_the_demo_has_a_right_answer_here() -> None:
    assert tuple(RIGHT) == shop.QUESTIONS


@pytest.mark.parametrize("question", RIGHT)
async def test_the_demo_shows_right_answers(
    tools: Any, demo_shop: ClusterHandle, question: str
) -> None:
    answer = await tools("ask", cluster="demo-shop", question=question)
    right = await tools("run_query", cluster="demo-shop", sql=RIGHT[question])
    assert multiset(answer["result"]["rows"]) == multiset(right["rows"])


def multiset(rows: list[list[Any]]) -> list[list[str]]:
    """Rows without their order, and each without that of its columns."""
    return sorted(sorted(map(str, row)) for row in rows)


def test_the_shop_is_the_same_at_every_run() -> None:
    assert shop.tables() == shop.tables()
    assert sum(len(table.rows) for table in shop.tables()) == 4690
