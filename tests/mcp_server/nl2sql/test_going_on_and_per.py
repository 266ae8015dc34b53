"""What still goes on, what was never done, sums per thing, typed values, and follow-ups of them."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

YARD = """
create table dock (id int primary key, dock_name text not null, harbour text not null);
create table boat (
  id int primary key, boat_name text not null, boat_kind text not null,
  dock_id int not null references dock, radio_code text);
create table repair (
  id int primary key, boat_id int not null references boat, started_at timestamp not null,
  ended_at timestamp, verdict text not null);
create table haul (
  id int primary key, boat_id int not null references boat, landed_on date not null,
  kilos int not null);
create table paint (id int primary key, paint_name text not null);
create table coat (
  id int primary key, paint_id int not null references paint, boat_id int not null references boat,
  applied_on date not null);
create table skp (skp_id int primary key, fn text not null, lic_cat text not null, hgt int);
comment on table skp is 'Skippers who sail for us';
comment on column skp.lic_cat is 'Sailing permit, such as coastal or offshore';
comment on column skp.hgt is 'Stature, in centimetres';
insert into skp values (1, 'Ida', 'coastal', 180), (2, 'Jan', 'coastal', 170),
  (3, 'Kim', 'offshore', 190);
insert into dock values (1, 'Pier A', 'Old Port'), (2, 'Pier B', 'Old Port'), (3, 'Quay', 'Cove');
insert into boat values (1, 'Tern', 'ketch', 1, null), (2, 'Gull', 'ketch', 1, 'G7'),
  (3, 'Auk', 'yawl', 2, null), (4, 'Skua', 'yawl', 3, null), (5, 'Loon', 'cutter', 3, 'L1');
insert into repair values
  (1, 1, '2025-05-01 08:00', '2025-05-02 08:00', 'approved'),
  (2, 1, '2025-07-01 08:00', null, 'rejected'),
  (3, 2, '2025-07-03 08:00', '2025-07-05 08:00', 'approved'),
  (4, 3, '2025-08-03 08:00', null, 'approved'),
  (5, 3, '2024-07-03 08:00', '2024-07-05 08:00', 'rejected');
insert into haul values (1, 1, '2025-05-03', 100), (2, 1, '2025-05-04', 50),
  (3, 3, '2025-05-04', 70);
insert into paint values (1, 'Red lead'), (2, 'Tar'), (3, 'Lacquer');
insert into coat values (1, 1, 1, '2025-04-01'), (2, 1, 2, '2025-04-02'), (3, 2, 2, '2025-04-03');
analyze;
"""


@pytest.fixture(scope="module")
def yard(module_dsn: str) -> str:
    return filled(module_dsn, YARD)


@pytest.fixture(scope="module")
def translator(yard: str) -> Translator:
    return Translator(yard)


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # what goes on has no end
    ("how many repairs are still going on", [(2,)]),
    ("which repairs are ongoing?", [(2,), (4,)]),
    ("repairs that are still in progress", [(2,), (4,)]),
    # a date that every row has is never missing: there is no row
    ("Which paints were never applied?", [("Lacquer",)]),
    ("how many paints were never applied?", [(1,)]),
    # rows told by a kind that is called after them
    ("boats by kind", [("cutter", 1), ("ketch", 2), ("yawl", 2)]),
    # what several rows of each add up to
    ("kilos per boat", [("Auk", 70), ("Tern", 150)]),
    # a month behind a comma, or without any preposition
    ("rejected repairs, July 2025", [(2,)]),
    ("rejected repairs July 2025", [(2,)]),
    # a value typed with a letter missing, and one out of its place
    ("how many repairs were rejcted", [(2,)]),
    ("how many repairs were aproved", [(3,)]),
    # what a comment calls a table or column, before it explains it
    ("how many skippers are there?", [(3,)]),
    ("average stature of skippers", [(180,)]),
    # who got something had it done
    ("how many repairs that got rejected are there", [(2,)]),
]

FOLLOWED: list[tuple[str, str, str, list[tuple[Any, ...]]]] = [
    (
        "Which boats have no radio code?",
        "select boat_name from boat where radio_code is null",
        "how many is that per kind?",
        [("ketch", 1), ("yawl", 2)],
    ),
    (
        "Which boats have no radio code?",
        "select boat_name from boat where radio_code is null",
        "how many of them are in each dock?",
        [("Pier A", 1), ("Pier B", 1), ("Quay", 1)],
    ),
    (
        "How many repairs were started in May 2025?",
        "select count(*) from repair"
        " where started_at >= '2025-05-01' and started_at < '2025-06-01'",
        "what about July?",
        [(2,)],
    ),
]


def found(dsn: str, query: str | None) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        return conn.execute((query or "").encode()).fetchall()


@pytest.mark.parametrize(("question", "expected"), ANSWERS)
def test_a_question_finds_its_rows(
    question: str, expected: list[tuple[Any, ...]], yard: str, translator: Translator
) -> None:
    answer = translator.translate(question)
    assert answer.sql is not None, answer.reason
    assert sorted(found(yard, answer.sql), key=repr) == sorted(expected, key=repr), answer.sql


@pytest.mark.parametrize(("before", "query", "question", "expected"), FOLLOWED)
def test_a_follow_up_keeps_the_rows_found_before(
    before: str,
    query: str,
    question: str,
    expected: list[tuple[Any, ...]],
    yard: str,
    translator: Translator,
) -> None:
    answer = translator.translate(question, context=[(before, query)])
    assert answer.sql is not None, answer.reason
    assert sorted(found(yard, answer.sql), key=repr) == sorted(expected, key=repr), answer.sql


def test_rows_are_not_counted_for_each_of_themselves(translator: Translator) -> None:
    answer = translator.translate("how many vessels are there in each boat?")
    assert answer.sql is None, answer.sql
