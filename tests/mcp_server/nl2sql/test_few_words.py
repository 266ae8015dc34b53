"""Questions of few words, and schemas that declare little: what is meant, or a decline."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

ALPS = """
create table valley (vid int, name text, region text, area numeric, population int,
  density numeric);
create table brook (bid int, name text, region text, length int);
create table crossing (vid int, bid int, bridges int);
insert into valley values (1, 'Alm', 'Uri', 50, 500, 10), (2, 'Inn', 'Graubünden', 80, 90, 1.1),
  (3, 'Sill', 'Graubünden', 20, 300, 15), (4, 'Ahr', 'Uri', 10, 40, 4);
insert into brook values (1, 'Alm', 'Uri', 12), (2, 'Inn', 'Graubünden', 40),
  (3, 'Zil', 'Uri', 40), (4, 'Uri', 'Glarus', 3);
insert into crossing values (2, 1, 4), (3, 1, 2), (1, 3, 7), (2, 2, 1), (4, 3, 5), (4, 4, 1);
analyze;
"""

LIGHTS = """
create table zxkeeper (zxkeepid int primary key, zxkeepname text, zxkeeptown text,
  zxkeepjoindate date, zxkeepisretired boolean);
create table zxlamp (zxlampid int primary key, zxlampname text, zxlampcolour text);
create table zxinspection (zxinid int primary key, zxinkeepid int, zxinlampid int, zxincost int);
insert into zxkeeper values (1, 'Ada', 'Skagen', '2020-05-01', false),
  (2, 'Bo', 'Ribe', '2021-02-03', true), (3, 'Cy', 'Skagen', '2022-09-30', false);
insert into zxlamp values (1, 'North', 'red'), (2, 'Mole', 'green'), (3, 'Reef', 'red');
insert into zxinspection values (1, 1, 1, 10), (2, 1, 2, 20), (3, 3, 1, 5), (4, 2, 3, 40);
analyze;
"""

HARBOURS = """
create table harbour (code text primary key, name text);
create table ferry (ferry_id int primary key, name text, homeharbour text);
create table captain (ferry_id int primary key, captain_name text);
insert into harbour values ('OSL', 'Oslo'), ('BGO', 'Bergen'), ('NVK', 'Narvik');
insert into ferry values (1, 'Fram', 'OSL'), (2, 'Maud', 'OSL'), (3, 'Gjoa', 'NVK');
insert into captain values (1, 'Ann'), (2, 'Ben'), (3, 'Cat');
analyze;
"""


@pytest.fixture(scope="module")
def databases(module_dsn: str) -> dict[str, Translator]:
    found = {}
    for name, content in (("alps", ALPS), ("lights", LIGHTS), ("harbours", HARBOURS)):
        with psycopg.connect(module_dsn, autocommit=True) as conn:
            conn.execute(f"create database {name}".encode())
        target = psycopg.conninfo.make_conninfo(module_dsn, dbname=name)
        found[name] = Translator(filled(target, content))
    return found


ANSWERS: list[tuple[str, str, list[tuple[Any, ...]]]] = [
    # keys that nobody declared: of tables named by a letter, and of tables that only join
    ("alps", "How many crossings are there for each brook name?",
     [("Alm", 2), ("Inn", 1), ("Uri", 1), ("Zil", 2)]),
    ("alps", "names of valleys with more than 1 crossing", [("Ahr",), ("Inn",)]),
    # what a row is called, before the name of its table and in a clause about another
    ("alps", "which valleys does the Alm brook run through", [("Inn",), ("Sill",)]),
    ("alps", "what valleys does the Alm run through", [("Inn",), ("Sill",)]),
    ("alps", "how many brooks are in Uri", [(2,)]),
    # adjectives that ask for a measure
    ("alps", "how long is the Zil brook", [(40,)]),
    ("alps", "how long is the longest brook", [(40,)]),
    ("alps", "what is the population density of Inn valley", [("1.1",)]),
    ("alps", "which valley has the largest population density", [("Sill",)]),
    ("alps", "largest valley by population", [("Alm",)]),
    ("alps", "which valley is the smallest in area", [("Ahr",)]),
    ("alps", "where is the smallest valley", [("Uri",)]),
    ("alps", "which are the longest brooks", [("Inn",), ("Zil",)]),
    # what ends a ratio is said of both sides
    ("alps", "ratio of valleys with population above 100 to valleys with population below 100"
     " in Graubünden", [(1,)]),
    # letters before all names
    ("lights", "How many inspections are there for each keeper?",
     [("Ada", 2), ("Bo", 1), ("Cy", 1)]),
    ("lights", "average inspection cost of red lamps", [("55/3",)]),
    ("lights", "names of keepers from Skagen", [("Ada",), ("Cy",)]),
    ("lights", "keepers with join date after 2021-12-31", [("Cy",)]),
    # a key that is another table's as well, and a text that ends with the name of one
    ("harbours", "harbours that have a ferry", [("Narvik",), ("Oslo",)]),
    ("harbours", "who is the captain of the ferry Maud", [("Ben",)]),
    ("harbours", "how many docks are there", [(3,)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("database", "question", "expected"), ANSWERS, ids=[question for _, question, _ in ANSWERS]
)
def test_what_few_words_mean_is_answered(
    databases: dict[str, Translator], database: str, question: str, expected: list[Any]
) -> None:
    translator = databases[database]

    found = translator.translate(question)

    assert found.sql is not None, (found.reason, [each.sql for each in found.candidates])
    assert isinstance(translator.dsn, str)
    with psycopg.connect(translator.dsn) as conn:
        rows = conn.execute(found.sql.encode()).fetchall()
    plain = [tuple(each if isinstance(each, str) else round(float(each), 6) for each in row)
             for row in rows]  # fmt: skip
    assert sorted(plain) == sorted(_numbers(row) for row in expected), found.sql


def _numbers(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """`55/3` and `1.1` as numbers."""
    found: list[Any] = []
    for each in row:
        one, _, other = str(each).partition("/")
        try:
            found.append(round(float(one) / float(other or 1), 6))
        except ValueError:
            found.append(each)
    return tuple(found)


@pytest.mark.parametrize(
    "question",
    [
        "which valleys cross valleys that the Zil runs through",
        "what brooks cross brooks that cross the Alm",
        "what are the major brooks in Uri",
    ],
)
def test_what_is_told_by_others_of_its_kind_is_not_answered_as_one(
    databases: dict[str, Translator], question: str
) -> None:
    found = databases["alps"].translate(question)

    assert found.sql is None, found.sql
    assert found.reason
