"""Which date a period is of, and that what divides, denies or counts the rows is in the query."""

import datetime
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

TRADE = """
create table buyer (id int primary key, full_name text not null, joined_on date, birth_date date);
create table purchase (
  id int primary key, buyer_id int not null references buyer, due_on date, shipped_on date,
  purchased_at timestamp not null, status text, total int);
create table clerk (id int primary key, name text not null, department text, salary int);
create table purchase_line (purchase_id int references purchase, line int, product text,
  primary key (purchase_id, line));
create table product (id int primary key, title text, category text, price int);
create table novel (id int primary key, title text, author text, price int, published_year int);
insert into buyer values (1, 'Ann Lee', '2025-02-01', '1970-01-01'),
  (2, 'Bob Ray', '2024-05-01', '1990-01-01'), (3, 'Cy Mo', '2024-06-01', '1980-01-01');
insert into purchase values
  (1, 1, '2025-03-08', '2025-03-02', '2025-03-01 10:00', 'paid', 700),
  (2, 1, '2025-03-09', '2026-01-02', '2025-12-30 10:00', 'cancelled', 20),
  (3, 1, '2025-04-05', '2025-03-03', '2025-03-02 10:00', 'cancelled', 900),
  (4, 2, '2024-04-06', '2024-03-04', '2024-03-03 10:00', 'paid', 30),
  (5, 2, '2025-04-12', null, '2025-04-11 10:00', 'open', 600),
  (6, 3, '2024-07-13', null, '2024-07-12 10:00', 'cancelled', 10);
insert into purchase_line values (1, 1, 'pen'), (1, 2, 'ink'), (2, 1, 'pen');
insert into product values (1, 'Robot', 'Toys', 30), (2, 'Ball', 'Toys', 5),
  (3, 'Saw', 'Tools', 20);
insert into clerk values (1, 'Di', 'IT', 50), (2, 'Ed', 'Sales', 70), (3, 'Flo', 'IT', 60);
insert into novel values (1, 'Sea', 'Poe', 10, 1999), (2, 'Sky', 'Poe', 12, 2001);
analyze;
"""


@pytest.fixture(scope="module")
def trade(module_dsn: str) -> str:
    return filled(module_dsn, TRADE)


@pytest.fixture(scope="module")
def translator(trade: str) -> Translator:
    return Translator(trade)


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # what happened, and not when those joined to whom it did, nor when it is due
    ("how many purchases did each buyer make in 2025", [("Ann Lee", 3), ("Bob Ray", 1)]),
    ("purchases on weekends", [(1,), (3,), (4,)]),
    ("buyers and their purchases in March 2025", [("Ann Lee", 1), ("Ann Lee", 3)]),
    ("buyers who joined in 2025", [("Ann Lee",)]),
    ("newest buyer", [("Ann Lee",)]),
    ("oldest buyer", [("Ann Lee",)]),
    ("first and last purchase date", [("2024-03-03 10:00:00", "2025-12-30 10:00:00")]),
    (
        "count purchases by status and year",
        [
            (2024, "cancelled", 1),
            (2024, "paid", 1),
            (2025, "cancelled", 2),
            (2025, "open", 1),
            (2025, "paid", 1),
        ],
    ),
    ("average total by status", [("cancelled", 310), ("open", 600), ("paid", 365)]),
    # a bound begins no other word, and is on what rows have
    ("purchases over 500", [(1,), (3,), (5,)]),
    ("how many buyers have purchases over 500", [(2,)]),
    # what a kind of rows is counted of, and with what they are beside
    ("buyers with at least one cancelled purchase", [("Ann Lee",), ("Cy Mo",)]),
    ("buyers with more than 1 cancelled purchase", [("Ann Lee",)]),
    (
        "list buyers and how many purchases they have",
        [("Ann Lee", 3), ("Bob Ray", 2), ("Cy Mo", 1)],
    ),
    ("paid purchases", [(1,), (4,)]),
    ("average number of lines per purchase", [(0.5,)]),
    ("how much is Robot", [(30,)]),
    ("cheapest toy", [("Ball",)]),
    # a verb in a year sorts nothing
    ("how many buyers did not purchase anything in 2025", [(1,)]),
    # what is asked for each of several is so in the query
    (
        "percentage of purchases that were cancelled by year",
        [(2024, 50), (2025, 50)],
    ),
    # a name in capitals that is a small word otherwise
    ("clerks in IT", [("Di",), ("Flo",)]),
    ("average salary of the IT department", [(55,)]),
    # things are counted once, however many rows of others they meet
    ("how many buyers have cancelled purchases", [(2,)]),
]


@pytest.mark.parametrize(("question", "rows"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_what_is_asked_is_answered(
    translator: Translator, trade: str, question: str, rows: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)

    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(trade) as conn:
        got = [tuple(map(_plain, row)) for row in conn.execute(found.sql.encode()).fetchall()]
    assert sorted(got) == sorted(rows), found.sql


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, datetime.date) else value


@pytest.mark.parametrize(
    "question",
    [
        "total of purchases by continent",
        "average price for each publisher",
        "purchases per galaxy",
    ],
)
def test_what_nothing_is_known_of_divides_no_rows(translator: Translator, question: str) -> None:
    assert translator.translate(question).sql is None
