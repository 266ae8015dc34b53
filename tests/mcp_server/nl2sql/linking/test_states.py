"""States in words, read from the columns that say so; what two may mean is declined."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.profile import profile
from tests.mcp_server.nl2sql.conftest import filled

WORKSHOP = """
create table mechanic (
  id int primary key, full_name text not null, hired_on date not null, end_date date);
create table ticket (
  id int primary key, mechanic_id int not null references mechanic, raised_on date not null,
  resolved_on date, severity int not null);
create table bill (
  id int primary key, issued_on date not null, settled_on date, amount int not null);
create table parcel (
  id int primary key, label text not null, dispatched_at timestamp, delivered_at timestamp,
  weight int not null);
create table chore (
  id int primary key, title text not null, stage text not null, started_on date not null,
  planned_end date not null, ended_on date);
create table lathe (
  id int primary key, label text not null, brand text not null, operational boolean not null);
create table trial (
  id int primary key, mechanic_id int not null references mechanic, tried_on date not null,
  kind text not null, rslt char(1) not null);
create table grd (grd_no int primary key, grd_nm text not null, shift_yn char(1) not null);
create table fault (
  id int primary key, seen_on date not null, closed_on date, resolved_on date);
comment on column trial.rslt is 'Outcome: P = passed, F = failed';
comment on table grd is 'Guards';
comment on column grd.grd_nm is 'Name of the guard';
comment on column grd.shift_yn is 'Y = still on the rota, N = no longer';
insert into mechanic values (1, 'Ada Fox', '2020-01-01', null), (2, 'Ben Hay', '2021-01-01',
  '2024-05-01'), (3, 'Cat Ivy', '2022-01-01', null);
insert into ticket values (1, 1, '2025-01-02', '2025-01-05', 2), (2, 1, '2025-02-02', null, 9),
  (3, 2, '2025-03-02', null, 4), (4, 3, '2024-03-02', '2025-06-01', 4);
insert into bill values (1, '2025-01-01', null, 50), (2, '2024-01-01', '2025-02-01', 900),
  (3, '2025-03-01', null, 700);
insert into parcel values (1, 'P-a', null, null, 3), (2, 'P-b', '2025-01-01 10:00', null, 4),
  (3, 'P-c', '2025-01-01 10:00', '2025-01-03 10:00', 5);
insert into chore values
  (1, 'Sweep', 'done', '2025-01-01', '2025-01-09', '2025-01-05'),
  (2, 'Paint', 'running', '2025-01-01', '2025-01-09', null),
  (3, 'Weld', 'done', '2025-01-01', '2025-01-09', '2025-01-12'),
  (4, 'Grind', 'dropped', '2025-01-01', '2025-01-09', null);
insert into lathe values (1, 'L1', 'Boley', true), (2, 'L2', 'Boley', false),
  (3, 'L3', 'Schaublin', true), (4, 'L4', 'Myford', true);
insert into trial values (1, 1, '2025-01-01', 'brake', 'P'), (2, 2, '2025-02-01', 'brake', 'F'),
  (3, 3, '2025-03-01', 'lamp', 'F');
insert into grd values (1, 'Lee', 'Y'), (2, 'Moe', 'N'), (3, 'Ned', 'Y');
insert into fault values (1, '2025-01-01', null, null), (2, '2025-01-01', '2025-01-02', null);
analyze;
"""


@pytest.fixture(scope="module")
def workshop(module_dsn: str) -> str:
    return filled(module_dsn, WORKSHOP)


@pytest.fixture(scope="module")
def translator(workshop: str) -> Translator:
    return Translator(workshop)


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # a date that is not there
    ("how many open tickets are there", [(2,)]),
    ("which tickets are still unresolved?", [(2,), (3,)]),
    ("tickets that haven't been closed yet", [(2,), (3,)]),
    ("how many tickets are not fixed", [(2,)]),
    ("unpaid bills", [(1,), (3,)]),
    ("bills that are still outstanding", [(1,), (3,)]),
    ("what is the total amount of unsettled bills", [(750,)]),
    ("how many unpaid bills over 100", [(1,)]),
    ("unsent parcels", [("P-a",)]),
    ("which parcels are undelivered", [("P-a",), ("P-b",)]),
    ("how many chores are unfinished", [(2,)]),
    # one that is there
    ("how many closed tickets", [(2,)]),
    ("paid bills", [(2,)]),
    ("which parcels have been sent", [("P-b",), ("P-c",)]),
    # the year is of another date than the one that is missing
    ("how many bills of 2025 are unpaid", [(2,)]),
    ("number of unpaid bills in 2025", [(2,)]),
    # people who have left, and those who have not
    ("which mechanics have quit?", [("Ben Hay",)]),
    ("who are the mechanics that are no longer with the company", [("Ben Hay",)]),
    ("list mechanics who don't work here anymore", [("Ben Hay",)]),
    ("how many mechanics are still with us", [(2,)]),
    ("mechanics who still work for us", [("Ada Fox",), ("Cat Ivy",)]),
    ("how many former mechanics do we have", [(1,)]),
    ("mechanics who left in 2024", [("Ben Hay",)]),
    # a value that says it, in another word
    ("completed chores", [("Sweep",), ("Weld",)]),
    ("how many finished chores are there", [(2,)]),
    ("which chores are done", [("Sweep",), ("Weld",)]),
    # what a code means
    ("guards on the rota", [("Lee",), ("Ned",)]),
    ("which guards are not on the rota anymore", [("Moe",)]),
    ("did anyone fail a brake trial in 2025? show me the mechanic", [(2,)]),
    # yes or no
    ("which lathes can we use right now", [("L1",), ("L3",), ("L4",)]),
    ("how many lathes are out of order", [(1,)]),
    ("which lathes by Boley or Schaublin can we use at the moment?", [("L1",), ("L3",)]),
    ("how many lathes are out of service", [(1,)]),
    # one date against the planned one
    ("which chores finished ahead of schedule", [("Sweep",)]),
    ("chores that were behind schedule", [("Weld",)]),
]


@pytest.mark.parametrize(("question", "rows"), ANSWERS, ids=[each[0] for each in ANSWERS])
def test_a_state_is_read_from_the_column_that_says_it(
    translator: Translator, workshop: str, question: str, rows: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)

    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(workshop) as conn:
        got = conn.execute(found.sql.encode()).fetchall()
    assert sorted(got) == sorted(rows), found.sql


def test_what_two_columns_may_mean_is_declined_and_told(translator: Translator) -> None:
    found = translator.translate("how many open faults are there")
    assert found.sql is None
    assert found.reason == "'open' may mean: closed on is missing; or: fault resolved on is missing"
    named = translator.translate("how many unresolved faults are there")
    assert named.sql == "SELECT COUNT(*) FROM fault WHERE resolved_on IS NULL"


@pytest.mark.parametrize(
    "question",
    [
        "which chores can we afford",
        "pickled tickets",
        "unforgotten chores",
        "which lathes have quit",
        "which tickets can we use right now",  # no yes or no of theirs says it
    ],
)
def test_what_no_column_says_is_declined(translator: Translator, question: str) -> None:
    assert translator.translate(question).sql is None


UNCHANGED = [
    "how many chores are running",  # a value
    "tickets resolved by Ada Fox",
    "which mechanic left a ticket",
    "which tickets were open on 2025-01-10",
    "tickets that are open in May 2025",
    "open the list of mechanics",
    "bills settled before 2025",
    'chores called "unpaid bills"',
]


@pytest.mark.parametrize("question", UNCHANGED)
def test_what_says_no_state_is_left(workshop: str, question: str) -> None:
    with psycopg.connect(workshop, autocommit=True) as conn:
        assert Linker(profile(conn)).states.put(question) == (question, "")


def test_those_of_the_last_answer_are_narrowed_by_a_state(
    translator: Translator, workshop: str
) -> None:
    before = [
        (
            "mechanics hired before 2022",
            "select full_name from mechanic where hired_on < '2022-01-01'",
        )
    ]
    found = translator.translate("only those who are still with us", context=before)

    assert found.sql is not None, found.reason
    with psycopg.connect(workshop) as conn:
        assert conn.execute(found.sql.encode()).fetchall() == [("Ada Fox",)]
