"""How people put questions: with courtesies, verbs for tables, measures said behind, codes."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

STAGE = """
create table shows (show_id int primary key, title text not null unique, style text not null,
  premiered_on date not null);
create table performances (performance_id int primary key,
  show_id int not null references shows, held_on date not null, minutes int not null,
  hall varchar(1) not null, ended varchar(3) not null);
comment on column performances.hall is 'M main hall, C cellar';
comment on column performances.ended is 'FUL finished, BRK broken off';
create table guests (guest_id int primary key, name text not null, town text not null,
  birth_year int, joined_on date not null);
create table bookings (booking_id int primary key, guest_id int not null references guests,
  performance_id int not null references performances, seats int not null);
create table reviews (review_id int primary key, guest_id int not null references guests,
  show_id int not null references shows, stars int not null);
create table tags (tag_id int primary key, tag text not null unique);
create table show_tags (show_id int references shows, tag_id int references tags,
  primary key (show_id, tag_id));
insert into shows values (1, 'Peer Gynt', 'drama', '2023-01-01'),
  (2, 'Tosca', 'opera', '2024-02-02'), (3, 'Carmen', 'opera', '2024-03-03');
insert into performances values (1, 1, '2024-01-05', 120, 'M', 'FUL'),
  (2, 1, '2024-02-06', 100, 'C', 'BRK'), (3, 2, '2024-02-07', 150, 'M', 'FUL'),
  (4, 3, '2024-05-08', 90, 'C', 'FUL'), (5, 3, '2025-01-09', 170, 'M', 'FUL');
insert into guests values (1, 'Ada', 'Hamar', 1970, '2023-05-05'),
  (2, 'Bo', 'Moss', 1980, '2024-01-05'), (3, 'Cy', 'Moss', 1990, '2024-01-06'),
  (4, 'Di', 'Hamar', 2001, '2024-04-07');
insert into bookings values (1, 1, 1, 2), (2, 1, 3, 1), (3, 2, 3, 4), (4, 3, 4, 2), (5, 3, 2, 5);
insert into reviews values (1, 4, 2, 5), (2, 1, 1, 3), (3, 2, 3, 4);
insert into tags values (1, 'dark'), (2, 'long'), (3, 'light');
insert into show_tags values (1, 1), (1, 2), (2, 1), (3, 3);
analyze;
"""


@pytest.fixture(scope="module")
def stage(module_dsn: str) -> str:
    return filled(module_dsn, STAGE)


def rows(dsn: str, question: str) -> list[tuple[Any, ...]]:
    found = Translator(dsn).translate(question)
    assert found.sql is not None, (question, found.reason, found.candidates)
    with psycopg.connect(dsn) as conn:
        return sorted(conn.execute(found.sql.encode()).fetchall(), key=str)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        # a table that is called like a verb of the question
        ("performances per show", [("Carmen", 2), ("Peer Gynt", 2), ("Tosca", 1)]),
        ("show me the shows of the style opera", [("Carmen",), ("Tosca",)]),
        ("how many shows are there", [(3,)]),
        # courtesies
        ("hi, how many guests are from Moss? thx", [(2,)]),
        ("pls list the guests from Moss", [("Bo",), ("Cy",)]),
        ("hey can u show guests from Hamar pls", [("Ada",), ("Di",)]),
        # codes right before what they mean
        ("how many performances in the cellar", [(2,)]),
        ("how many performances were broken off", [(1,)]),
        # a verb that is the name of the table between, or is made of the same word
        ("guests who booked Tosca", [("Ada",), ("Bo",)]),
        ("guests who reviewed Tosca", [("Di",)]),
        ("which guests booked Tosca but not Peer Gynt", [("Bo",)]),
        ("shows tagged dark", [("Peer Gynt",), ("Tosca",)]),
        ("shows tagged dark but not long", [("Tosca",)]),
        # what is taken together is said behind
        ("how many seats in total", [(14,)]),
        ("how many minutes do performances take on average", [(126,)]),
        # a period says what is new
        ("how many new guests in 2024", [(3,)]),
        ("new guests per month in 2024", [("2024-01-01", 2), ("2024-04-01", 1)]),
        # the average of the same group
        ("performances longer than the average performance of their own show", [(1,), (5,)]),
    ],
)
def test_a_question_is_read_as_people_put_it(
    stage: str, question: str, found: list[tuple[Any, ...]]
) -> None:
    assert [tuple(map(str, row)) for row in _plain(rows(stage, question))] == [
        tuple(map(str, row)) for row in found
    ]


def _plain(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(int(v) if isinstance(v, Decimal | float) else v for v in row) for row in found]


def test_the_top_rows_by_what_several_others_hold_are_never_those_of_one_of_them(
    stage: str,
) -> None:
    found = Translator(stage).translate("top 2 shows by minutes")
    with psycopg.connect(stage) as conn:
        best = conn.execute(found.candidates[0].sql.encode()).fetchall()
    assert sorted(best) == [("Carmen",), ("Peer Gynt",)]


def test_new_is_not_left_out_where_no_period_says_it(stage: str) -> None:
    assert Translator(stage).translate("list the new guests").sql is None
