"""Questions that a database of customers and purchases cannot answer."""

from pathlib import Path

import psycopg

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.choosing.declining import not_sure

QUESTIONS = (Path(__file__).parent / "off_topic.txt").read_text(encoding="utf-8").splitlines()
DECLINED_MIN = 0.95


def test_at_least_95_of_100_questions_that_cannot_be_answered_are_declined(shop: str) -> None:
    assert len(set(QUESTIONS)) == 100
    translator = Translator(shop)

    answered = {
        question: found.sql
        for question in QUESTIONS
        if (found := translator.translate(question)).sql is not None
    }

    assert len(answered) <= 100 * (1 - DECLINED_MIN), answered


def test_a_declined_question_comes_with_a_reason_and_no_sql(shop: str) -> None:
    found = Translator(shop).translate("what is the weather in Rome today")

    assert found.sql is None
    assert found.reason
    assert found.confidence < 0.5


ISLANDS = """
create table lamp (lamp_no int primary key, wattage int);
create table hill (hill_no int primary key, height int);
insert into lamp values (1, 40), (2, 60);
insert into hill values (7, 900), (8, 700);
analyze;
"""


def test_tables_that_no_key_joins_are_the_reason_and_not_that_nothing_was_named(
    fresh_dsn: str,
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(ISLANDS)
    translator = Translator(fresh_dsn)
    apart = translator.translate("wattage of the lamps by height of the hill")
    nothing = translator.translate("who sings best")

    assert apart.sql is None
    assert "about lamp" in apart.reason
    assert "no key leads from one of these tables to the other" in apart.reason
    assert nothing.reason == "nothing in the question names a table or column of this database"


def test_a_question_that_may_mean_two_things_says_both_readings() -> None:
    readings = [("The name.", 0.5), ("The town.", 0.4), ("The age.", 0.1)]

    assert not_sure([], readings) == "it may mean: The name. or: The town."
    assert not_sure([], [("The name.", 0.5), ("The age.", 0.1)]) == (
        "not sure enough that it means: The name."
    )
    assert not_sure(["tall"], readings) == "not understood: 'tall'"
