"""Running totals, ranks, changes from period to period, moving averages, percentiles."""

from typing import Any

import pytest

from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.windows.asking import (
    Change,
    MovingAverage,
    Percentile,
    Ranked,
    RunningTotal,
    Window,
    windowed,
)
from tests.mcp_server.nl2sql.conftest import filled

LEDGER = """
create table receipt (receipt_id int primary key, booked_on date not null, shop text not null,
  amount numeric(8,2) not null);
insert into receipt values
  (1, '2024-01-05', 'east', 10), (2, '2024-01-20', 'west', 20), (3, '2024-02-02', 'east', 60),
  (4, '2024-03-03', 'west', 30), (5, '2024-03-30', 'east', 15), (6, '2024-04-01', 'west', 90);
analyze;
"""


@pytest.fixture(scope="module")
def ledger(module_dsn: str) -> str:
    return filled(module_dsn, LEDGER)


def last_columns(dsn: str, question: str) -> list[tuple[Any, ...]]:
    answer = Asker(dsn).ask(question)
    assert answer.sql is not None, (answer.reason, answer.alternatives)
    return [tuple(row) for row in answer.rows]


JAN, FEB, MAR, APR = "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        (
            "running total of amount by month",
            [(JAN, 30, 30), (FEB, 60, 90), (MAR, 45, 135), (APR, 90, 225)],
        ),
        (
            "cumulative number of receipts per month",
            [(JAN, 2, 2), (FEB, 1, 3), (MAR, 2, 5), (APR, 1, 6)],
        ),
        (
            "month over month change in amount",
            [(JAN, 30, None), (FEB, 60, 30), (MAR, 45, -15), (APR, 90, 45)],
        ),
        (
            "month over month growth of amount",
            [(JAN, 30, None), (FEB, 60, 100), (MAR, 45, -25), (APR, 90, 100)],
        ),
        (
            "2 month moving average of amount",
            [(JAN, 30, 30), (FEB, 60, 45), (MAR, 45, 52.5), (APR, 90, 67.5)],
        ),
        (
            "rank receipts by amount",
            [(6, 90, 1), (3, 60, 2), (4, 30, 3), (2, 20, 4), (5, 15, 5), (1, 10, 6)],
        ),
        ("rank the shops by total amount", [("west", 140, 1), ("east", 85, 2)]),
        (
            "rank receipts by amount within each shop",
            [
                (6, "west", 90, 1),
                (3, "east", 60, 1),
                (4, "west", 30, 2),
                (2, "west", 20, 3),
                (5, "east", 15, 2),
                (1, "east", 10, 3),
            ],
        ),
        ("75th percentile of amount", [(52.5,)]),
        ("median amount", [(25,)]),
    ],
)
def test_windows_are_computed(ledger: str, question: str, rows: list[tuple[Any, ...]]) -> None:
    assert last_columns(ledger, question) == rows


@pytest.mark.parametrize(
    "question",
    ["the top 2 receipts by amount for each shop", "for each shop, the top two receipts by amount"],
)
def test_the_first_of_each_group(ledger: str, question: str) -> None:
    assert last_columns(ledger, question) == [
        (3, "east", 60), (5, "east", 15), (6, "west", 90), (4, "west", 30),
    ]  # fmt: skip


def test_the_reading_says_what_the_window_is(ledger: str) -> None:
    reading = Asker(ledger).ask("2 month moving average of amount").reading
    assert "over each row and the 1 before" in reading


@pytest.mark.parametrize(
    ("question", "window", "plain"),
    [
        ("running total of sales by month", RunningTotal(), "sum of sales by month"),
        ("cumulative average price per day", RunningTotal(), "average price per day"),
        ("7-day moving average of visits", MovingAverage(7), "sum of visits per day"),
        ("3-month rolling average of the number of visits", MovingAverage(3), None),
        ("year over year growth in sales", Change(True), "sum of sales per year"),
        ("monthly change of sales", Change(False), "sum of sales per month"),
        ("p95 of latency", Percentile(0.95), "median latency"),
        ("rank the teams by points", Ranked(), "teams sorted by points descending"),
        ("rank teams by losses ascending", Ranked(), "teams sorted by losses ascending"),
    ],
)
def test_a_window_is_taken_out_of_a_question(
    question: str, window: Window, plain: str | None
) -> None:
    found = windowed(question)
    assert found is not None
    assert found[0] == window
    assert plain is None or found[1] == plain


@pytest.mark.parametrize(
    "question",
    ["What is the rank of Ann?", "average moving cost", "how many people are running",
     "sales in May", "a moving average of sales", "change of address per month"],
)  # fmt: skip
def test_other_questions_ask_for_no_window(question: str) -> None:
    assert windowed(question) is None
