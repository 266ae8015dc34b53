"""Questions that say `them`, `their` or `the oldest one` are about the rows of the last answer."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

FARM = """
create table farmer (farmer_id int primary key, name text not null, village text not null);
create table barn (barn_id int primary key, label text not null, village text not null,
  farmer_id int not null references farmer, keeper_id int references farmer,
  area int not null, heated boolean not null);
create table animal (animal_id int primary key, barn_id int not null references barn,
  kind text not null, weight int not null);
insert into farmer values (1, 'Ada', 'Hamar'), (2, 'Bo', 'Moss'), (3, 'Cy', 'Hamar');
insert into barn values (1, 'North', 'Hamar', 1, 3, 100, true),
  (2, 'South', 'Hamar', 2, 3, 80, false),
  (3, 'Mill', 'Moss', 3, 1, 60, true);
insert into animal values (1, 1, 'cow', 600), (2, 1, 'pig', 90), (3, 2, 'cow', 500),
  (4, 3, 'pig', 80), (5, 3, 'pig', 100);
analyze;
"""
HAMAR = ("Which barns are in Hamar?", "select label from barn where village = 'Hamar'")
LARGEST = (
    "Which barn is the largest?",
    "select label from barn order by area desc fetch first 1 rows with ties",
)
KINDS = ("How many animals of each kind?", "select kind, count(*) from animal group by kind")
LABELS = ("List the barns", "select label from barn")
HAMAR_COUNT = ("How many barns are in Hamar?", "select count(*) from barn where village = 'Hamar'")
HEAVIEST = (
    "Which barn has the most pigs?",
    "select b.label from animal a join barn b on b.barn_id = a.barn_id where a.kind = 'pig' "
    "group by b.barn_id, b.label order by count(*) desc limit 1",
)
COUNTED = (
    "Animals per barn",
    "select t1.label, count(*) from barn as t1 join animal as t2 on t2.barn_id = t1.barn_id "
    "group by t1.barn_id, t1.label",
)
PIGS = ("How many pigs are there?", "select count(*) from animal where kind = 'pig'")


@pytest.fixture(scope="module")
def farm(module_dsn: str) -> str:
    return filled(module_dsn, FARM)


@pytest.mark.parametrize(
    ("question", "last", "found"),
    [
        ("how many animals does each of them have?", HAMAR, [("North", 2), ("South", 1)]),
        ("and their areas?", HAMAR, [(100,), (80,)]),
        ("what is their average area", HAMAR, [(90,)]),
        ("and the smallest one?", LARGEST, [("Mill",)]),
        ("which barn has the most of them?", PIGS, [("Mill",)]),
        # the one row, and what it refers to
        ("who keeps that one?", LARGEST, [("Cy",)]),
        ("who is the keeper of this one", LARGEST, [("Cy",)]),
        ("what is the area of that one?", LARGEST, [(100,)]),
        ("what is its area?", LARGEST, [(100,)]),
        ("what is the area for that one?", HEAVIEST, [(60,)]),
        # two changes in one
        ("sort by area, lowest first, and only the top 1", LABELS, [("Mill",)]),
        ("order by label and show the first 2", LABELS, [("Mill",), ("North",)]),
        # some of them, and another measure of them
        ("only those that are heated", HAMAR, [("North",)]),
        ("and the total area?", HAMAR_COUNT, [(180,)]),
        ("what about the average area?", HAMAR_COUNT, [(90,)]),
        # groups that are large enough, and what is left out
        ("which has more than two?", KINDS, [("pig", 3)]),
        ("which ones have at least 2?", COUNTED, [("Mill", 2), ("North", 2)]),
        ("leave out pigs", COUNTED, [("North", 1), ("South", 1)]),
        ("excluding heated barns", HAMAR, [("South",)]),
        # by the row that a key of its own name refers to
        ("break that down by keeper", ("How many barns?", "select count(*) from barn"),
         [("Ada", 1), ("Cy", 2)]),
    ],
)  # fmt: skip
def test_a_question_is_about_the_rows_of_the_last_answer(
    farm: str, question: str, last: tuple[str, str], found: list[tuple[Any, ...]]
) -> None:
    answer = Translator(farm).translate(question, context=[last])
    assert answer.sql is not None, (answer.reason, answer.candidates)
    assert answer.follows
    with psycopg.connect(farm) as conn:
        rows = conn.execute(answer.sql.encode()).fetchall()
    assert sorted(map(str, (tuple(map(_plain, row)) for row in rows))) == sorted(map(str, found))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)


def test_what_points_back_and_is_not_understood_is_declined(farm: str) -> None:
    for question in (
        "who painted them?",
        "who painted that one?",
        "what is the colour of that one?",
        "only those that are purple",
        "and the total colour?",
    ):
        answer = Translator(farm).translate(question, context=[HAMAR])
        assert answer.sql is None, (question, answer.sql)


def test_a_pronoun_of_what_the_question_names_itself_points_at_no_answer(farm: str) -> None:
    answer = Translator(farm).translate("list farmers and their villages", context=[HAMAR])
    assert answer.sql is not None
    assert not answer.follows
