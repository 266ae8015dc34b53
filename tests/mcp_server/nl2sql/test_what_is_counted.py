"""What is counted are rows, and no count is one for each group; a comment hides no table."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

CAFES = """
create table district (town text primary key, quarter text not null);
create table cafe (cafe_id int primary key, name text not null, dish_kind text not null,
  town text not null references district, stars numeric(2, 1) not null);
comment on column cafe.dish_kind is 'The kind of dish served at the cafe';
create table critic (critic_id int primary key, name text not null, cafe_id int references cafe,
  marks int not null, seen date not null);
insert into district values ('Hamar', 'east'), ('Moss', 'east'), ('Bryne', 'west');
insert into cafe values (1, 'Anchor', 'Indian', 'Hamar', 4.5), (2, 'Bell', 'Indian', 'Hamar', 3.0),
  (3, 'Crown', 'Thai', 'Moss', 4.0), (4, 'Drum', 'Indian', 'Bryne', 2.5);
insert into critic values (1, 'Ann', 1, 5, '2024-01-02'), (2, 'Bob', 1, 3, '2025-02-03'),
  (3, 'Cy', 3, 4, '2025-03-04');
analyze;
"""


@pytest.fixture(scope="module")
def translator(module_dsn: str) -> Iterator[Translator]:
    made = Translator(filled(module_dsn, CAFES))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("How many cafes serve Indian dishes in each quarter?", [("east", 2), ("west", 1)]),
        ("What is the number of cafes serving each kind of dish?", [("Indian", 3), ("Thai", 1)]),
        ("How many cafes are there for each kind of dish?", [("Indian", 3), ("Thai", 1)]),
        (
            "List the cafes starting from the best stars to the lowest",
            [("Anchor",), ("Crown",), ("Bell",), ("Drum",)],
        ),
    ],
)
def test_it_is_answered_with_the_rows_that_are_meant(
    translator: Translator, module_dsn: str, question: str, rows: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(module_dsn) as conn:
        told = conn.execute(found.sql.encode()).fetchall()
    assert (told if "starting" in question else sorted(told)) == rows, found.sql
