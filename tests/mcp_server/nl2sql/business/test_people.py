"""Who did the most of what refers to people; and fees that are no revenue."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

CLUB = """
create table member (member_id int primary key, name text not null, joined_on date not null);
create table dive (dive_id int primary key, member_id int not null references member,
  planned_on date not null, depth int not null);
create table gear_order (order_id int primary key, member_id int not null references member,
  placed_on date not null, shipping_fee int not null);
create table order_item (order_id int references gear_order, line int, quantity int not null,
  unit_price int not null, primary key (order_id, line));
create table note (note_id int primary key, writer_id int not null references member,
  reader_id int not null references member, body text not null);
insert into member values (1, 'Ann', '2025-03-02'), (2, 'Bo', '2024-01-01'),
  (3, 'Cy', '2025-03-09');
insert into dive values (1, 1, '2025-03-03', 10), (2, 2, '2025-03-04', 20),
  (3, 3, '2024-04-01', 30), (4, 3, '2024-03-05', 40);
insert into gear_order values (1, 1, '2025-01-01', 5), (2, 2, '2025-02-01', 6);
insert into order_item values (1, 1, 2, 10), (1, 2, 1, 7), (2, 1, 3, 4);
insert into note values (1, 1, 2, 'hi'), (2, 1, 3, 'ho'), (3, 2, 3, 'hm');
analyze;
"""


@pytest.fixture(scope="module")
def translator(module_dsn: str) -> Translator:
    return Translator(filled(module_dsn, CLUB))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("who made the most dives", [("Cy",)]),
        ("Who has the most dives?", [("Cy",)]),
        ("who did the fewest dives in 2024", [("Cy",)]),
        ("who wrote the most notes", [("Ann",)]),
    ],
)
def test_who_did_the_most_is_one_of_those_to_whom_rows_refer(
    translator: Translator, question: str, found: list[Any]
) -> None:
    answer = translator.translate(question)
    assert answer.sql is not None, answer.candidates
    with psycopg.connect(str(translator.dsn)) as conn:
        assert conn.execute(answer.sql.encode()).fetchall() == found


def test_a_verb_that_no_key_has_says_of_nobody_who_it_was(translator: Translator) -> None:
    assert translator.translate("who painted the most notes").sql is None


@pytest.mark.parametrize("question", ["monthly revenue for 2025", "total revenue"])
def test_what_is_paid_for_shipping_is_no_revenue(translator: Translator, question: str) -> None:
    assert translator.translate(question).sql is None
