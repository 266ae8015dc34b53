"""Words that ask for nothing, clipped and misspelt ones, and what is another, not missing."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

DEPOT = """
create table town (id int primary key, name text not null);
create table driver (id int primary key, full_name text not null, home_town_id int references town);
create table trip (
  id int primary key, driver_id int not null references driver,
  town_id int not null references town, driven_on date not null,
  extra_hours int not null, wait_seconds int not null, note text,
  loading_zone text not null, unloading_zone text not null);
create table booking (
  id int primary key, driver_id int not null references driver, booked_on date not null);
create table ntc (ntc_no int primary key, st char(1) not null, sz int not null);
comment on table ntc is 'Grievances, of guests';
comment on column ntc.st is 'R = under review, C = closed';
insert into town values (1, 'Rome'), (2, 'Oslo');
insert into driver values (1, 'Ada Fox', 1), (2, 'Avg Moe', 2), (3, 'Cat Ivy', 2);
insert into trip values
  (1, 1, 1, '2025-01-01', 2, 30, 'wet', 'north', 'south'),
  (2, 1, 2, '2025-02-01', 3, 50, null, 'north', 'north'),
  (3, 3, 2, '2024-02-01', 4, 70, 'dry', 'south', 'south');
insert into booking values (1, 1, '2025-01-01'), (2, 2, '2024-01-01');
insert into ntc values (1, 'R', 3), (2, 'R', 5), (3, 'C', 7);
analyze;
"""


@pytest.fixture(scope="module")
def depot(module_dsn: str) -> str:
    return filled(module_dsn, DEPOT)


@pytest.fixture(scope="module")
def translator(depot: str) -> Translator:
    return Translator(depot)


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # what stands for nothing that a query has
    ("how many drivers did not book anything in 2025", [(2,)]),
    ("how many trips are on file", [(3,)]),
    ("how many trips do we have rn", [(3,)]),
    ("list the note of every trip, skip the empty ones", [("wet",), ("dry",)]),
    ("show me all notes of trips? leave out the blank ones", [("wet",), ("dry",)]),
    ("total extra hours for each person", [("Ada Fox", 5), ("Cat Ivy", 4)]),
    ("give me total extra hrs per guy", [("Ada Fox", 5), ("Cat Ivy", 4)]),
    # clipped, and misspelt
    ("avg wait secs of trips", [(50,)]),
    ("avarage wait seconds of trips", [(50,)]),
    ("nubmer of trips", [(3,)]),
    ("how many grevances are under review", [(2,)]),
    # names stay as they are
    ("home town of Avg Moe", [("Oslo",)]),
    # another zone than the other
    ("trips whose loading zone is other than the unloading zone", [(1,)]),
]


@pytest.mark.parametrize(("question", "rows"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_what_is_asked_is_answered(
    translator: Translator, depot: str, question: str, rows: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)

    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(depot) as conn:
        got = conn.execute(found.sql.encode()).fetchall()
    assert sorted(got, key=str) == sorted(rows, key=str), found.sql


@pytest.mark.parametrize(
    "question",
    [
        "how many drivers had trips in a town other than their home town",
        "drivers who were in a town besides their home town",
    ],
)
def test_another_one_is_not_one_that_is_missing(translator: Translator, question: str) -> None:
    found = translator.translate(question)
    assert found.sql is None or "NULL" not in found.sql, found.sql
