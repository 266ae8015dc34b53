"""Who did something, by way of what, how often; and averages by weights."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

BOOKS = """
create table book (book_id int primary key, title text not null, pages int not null);
create table reader (reader_id int primary key, name text not null,
  favourite_book int references book);
create table purchase (purchase_id int primary key, reader_id int not null references reader,
  bought_on date not null);
create table purchase_line (purchase_id int references purchase, book_id int references book,
  copies int not null, price numeric(6, 2) not null, primary key (purchase_id, book_id));
create table glurb (glurb_id int primary key, name text not null);
create table delivery (delivery_id int primary key, glurb_id int not null references glurb,
  brought_on date not null, weight int not null);
insert into book values (1, 'Winter', 100), (2, 'Ferry', 200), (3, 'Salt', 300);
insert into reader values (1, 'Ann', 1), (2, 'Bob', 2), (3, 'Cy', 1), (4, 'Dee', null);
insert into purchase values (1, 2, '2025-01-01'), (2, 3, '2025-02-01'), (3, 3, '2024-03-01');
insert into purchase_line values (1, 1, 1, 9), (2, 1, 1, 9), (2, 2, 3, 5), (3, 3, 1, 6);
insert into glurb values (1, 'Zed'), (2, 'Yip');
insert into delivery values (1, 1, '2025-01-04', 10), (2, 1, '2025-01-05', 12),
  (3, 2, '2025-01-06', 9);
analyze;
"""

ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # by way of what the verb names, past a key that nobody spoke of
    ("Which readers purchased Winter?", [("Bob",), ("Cy",)]),
    ("how many readers purchased Winter", [(2,)]),
    ("readers who purchased Ferry in 2025", [("Cy",)]),
    ("readers who purchased a book with more than 150 pages", [("Cy",)]),
    ("who bought Winter", [("Bob",), ("Cy",)]),
    # how often, where a day has the same name as what is counted
    ("which reader has the highest number of purchases", [("Cy",)]),
    ("reader with the largest number of purchases", [("Cy",)]),
    ("who has the most purchases", [("Cy",)]),
    ("who has the highest number of purchases", [("Cy",)]),
    ("who has the lowest number of purchases", [("Bob",)]),
    ("who made the fewest purchases", [("Bob",)]),
    ("the most recent purchase", [(2,)]),
    # either of two, and not the one that is easier to find
    ("readers who purchased Winter or Salt", [("Bob",), ("Cy",)]),
    # by weights
    ("average price weighted by copies", [(6.5,)]),
    ("What is the average price of purchase lines weighted by copies?", [(6.5,)]),
]


@pytest.fixture(scope="module")
def translator(module_dsn: str) -> Iterator[Translator]:
    with Translator(filled(module_dsn, BOOKS)) as made:
        yield made


@pytest.mark.parametrize(("question", "rows"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_it_is_answered_with_the_rows_that_are_meant(
    translator: Translator, module_dsn: str, question: str, rows: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(module_dsn) as conn:
        assert sorted(conn.execute(found.sql.encode()).fetchall()) == rows, found.sql


@pytest.mark.parametrize(
    "question",
    [
        # no number and no day is anybody, and nobody knows whose deliveries these are
        "who delivered more than 11",
        "who delivered on 5 January 2025",
        # no such weight
        "average price weighted by colour",
        "weighted average price",
    ],
)
def test_it_is_declined(translator: Translator, question: str) -> None:
    found = translator.translate(question)
    assert found.sql is None, found.sql
