"""What an answer holds, and how the paths to it are weighed."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from mcp_server.nl2sql.answer import Read, Similar, Translate, answering
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.found import Answer
from mcp_server.nl2sql.mending.mend import Mended
from mcp_server.nl2sql.model.facts import Facts


@dataclass(frozen=True)
class Link:
    words: str
    target: str
    score: float


@dataclass
class Scripted:
    """A built-in translator that says what the test tells it to."""

    sql: str | None = None
    confidence: float = 0.8
    reason: str = ""
    candidates: Sequence[Any] = ()
    assumptions: Sequence[str] = ()
    unused: Sequence[str] = ()
    links: Sequence[Any] = ()
    follows: bool = False
    corrects: bool = False
    about_schema: bool = False

    def translate(
        self, question: str, evidence: str | None = None, explain: bool = False
    ) -> "Scripted":
        return self

    def mends(self, sql: str, *, failed: bool) -> list[Mended]:
        return []

    def facts(self, question: str) -> Facts:
        return Facts()


def ask(dsn: str, translator: Scripted, *, explain: bool = False, **settings: Any) -> Answer:
    return Asker(dsn, translator=translator, **settings).ask("a question", explain=explain)


def test_an_answer_holds_sql_reading_columns_rows_and_confidence(shop: str) -> None:
    sql = "select city, count(*) from customer group by city order by city"
    answer = ask(shop, Scripted(sql))
    assert answer.sql == sql
    assert answer.columns == ("city", "count")
    assert answer.rows == (("Lima", 10), ("Oslo", 10), ("Rome", 10))
    assert (answer.truncated, answer.confidence, answer.origin) == (False, 0.8, "built-in")
    assert answer.reading == (
        "The city and the number of customers, for each city, sorted by city (lowest first)."
    )


def test_assumptions_come_from_the_translation_and_from_the_sql(shop: str) -> None:
    sql = "select name from customer order by joined limit 1"
    answer = ask(shop, Scripted(sql, assumptions=["'oldest' means who joined first"]))
    assert answer.assumptions[0] == "'oldest' means who joined first"
    assert any("share the first place" in sentence for sentence in answer.assumptions)


def test_a_declined_question_says_why_and_what_was_considered(shop: str) -> None:
    near = [Scripted("select count(*) from customer", confidence=0.3)]
    answer = ask(
        shop,
        Scripted(None, reason="'weather' is nothing here", unused=["weather"], candidates=near),
    )
    assert (answer.sql, answer.rows, answer.confidence) == (None, (), 0.0)
    assert answer.reason == "'weather' is nothing here"
    assert answer.unused == ("weather",)
    assert answer.alternatives[0].reading == "The number of customers."


def test_sql_of_the_translator_that_does_not_pass_the_checks_is_no_answer(shop: str) -> None:
    for sql in ("select nope from customer", "delete from customer", "select 1; select 2"):
        answer = ask(shop, Scripted(sql))
        assert answer.sql is None
        assert answer.reason.startswith("the built-in query was refused")


def test_rows_are_bounded_and_more_are_announced(shop: str) -> None:
    sql = "select id from purchase order by id"
    answer = ask(shop, Scripted(sql), shown_rows=7)
    assert [row[0] for row in answer.rows] == list(range(1, 8))
    assert answer.truncated
    assert not ask(shop, Scripted(sql), shown_rows=60).truncated


def test_explain_shows_the_links_and_without_it_they_are_left_out(shop: str) -> None:
    translator = Scripted("select 1", links=[Link("customers", "customer", 0.9)])
    assert ask(shop, translator).links == ()
    (link,) = ask(shop, translator, explain=True).links
    assert link == {"words": "customers", "target": "customer", "score": 0.9}


def test_a_kept_pair_and_the_translator_speak_for_each_other(own_shop: str) -> None:
    sql = "select count(*) from customer where city = 'Rome'"
    asker = Asker(own_shop, translator=Scripted(sql, confidence=0.6))
    asker.enable_learning()
    asker.accept("how many in Rome", sql)
    agreed = asker.ask("how many in Rome")
    assert agreed.agreement is True
    assert agreed.confidence > 0.95
    asker.accept("how many in Rome", "select count(*) from purchase")
    differing = asker.ask("how many in Rome")
    assert (differing.agreement, differing.origin) == (False, "solved")
    assert "disagree" in differing.reason


def test_an_answer_is_a_json_object(shop: str) -> None:
    sql = "select now(), amount, paid, null::int, array[1, 2], customer_id from purchase limit 2"
    answer = ask(shop, Scripted(sql), explain=True)
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False))["rows"][0][2:5] == [
        answer.rows[0][2],
        None,
        [1, 2],
    ]


async def test_async_and_sync_give_the_same_answer(shop: str) -> None:
    asker = Asker(shop, translator=Scripted("select name from customer order by id"))
    assert await asker.aask("q") == asker.ask("q")


def test_what_the_role_may_not_read_is_not_read(shop: str) -> None:
    with psycopg.connect(shop, autocommit=True) as admin:
        role = f"{admin.info.dbname}_guest"
        admin.execute(f"create role {role} login; grant select on customer to {role}")
        try:
            guest = make_conninfo(shop, user=role)
            answer = ask(guest, Scripted("select count(*) from purchase"))
            assert "permission denied" in answer.reason
            assert ask(guest, Scripted("select count(*) from customer")).rows == ((30,),)
        finally:
            admin.execute(f"revoke all on customer from {role}; drop role {role}")


def test_a_database_that_is_not_there_is_an_error_of_the_connection(shop: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        ask(make_conninfo(shop, dbname="no_such_database"), Scripted("select 1"))


def test_asking_without_a_model_does_not_import_langchain() -> None:
    code = (
        "import sys, mcp_server.nl2sql.asker; "
        "sys.exit(any(m.partition('.')[0].startswith('lang') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


VALUES = [
    ("true", True),
    ("9007199254740993", "9007199254740993"),
    ("1.50::numeric(10,2)", 1.5),
    ("3.1415926535897932", "3.1415926535897932"),
    ("'-Infinity'::float8", "-Infinity"),
    ("date '2024-02-29'", "2024-02-29"),
    ("date 'infinity'", "infinity"),
    ("timestamptz '2024-01-01 12:00+02'", "2024-01-01T10:00:00+00:00"),
    ("interval '1 day 2 hours'", "1 day 02:00:00"),
    ("'\\x00ff'::bytea", "\\x00ff"),
    ("array[[1.10, null], [2, 3]]", [[1.1, None], [2, 3]]),
    ("array[date '2024-02-29']", ["2024-02-29"]),
    ("'{\"big\": [12345678901234567890]}'::jsonb", {"big": ["12345678901234567890"]}),
    ("row(1, 'two')", "(1,two)"),
    ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
    ("repeat('x', 40000)", "x" * 32_768 + "… [7232 more characters]"),
]
"""What `mcp_server.rendering` makes of them, whichever way the rows come."""


@pytest.mark.parametrize("style", ["ISO, MDY", "German", "SQL, DMY", "Postgres"])
def test_rows_are_json_as_the_tools_write_it_however_the_database_writes_dates(
    shop: str, style: str
) -> None:
    options = f"-c datestyle={style.replace(' ', '')} -c bytea_output=escape -c timezone=UTC"
    sql = "select " + ", ".join(expression for expression, _ in VALUES)
    answer = ask(make_conninfo(shop, options=options), Scripted(sql))
    assert answer.reason == ""
    assert dict(zip((e for e, _ in VALUES), answer.rows[0], strict=True)) == dict(VALUES)
    json.dumps(answer.to_dict(), allow_nan=False)


def test_with_the_built_in_translator_a_question_becomes_rows(shop: str) -> None:
    answer = Asker(shop).ask("how many customers are from Rome", explain=True)
    assert answer.rows == ((10,),)
    assert answer.origin == "built-in"
    assert answer.reading.startswith("The number of customers where city is 'Rome'")
    assert answer.links
    assert Asker(shop).ask("what is the weather in the mountains").sql is None


@pytest.mark.parametrize(("follows", "then"), [(True, Read), (False, Similar)])
def test_kept_pairs_are_looked_up_only_for_a_question_that_stands_alone(
    follows: bool, then: type
) -> None:
    steps = answering("and in Rome?", context=[("how many?", "select 1")])
    assert isinstance(next(steps), Translate)
    assert isinstance(steps.send(Scripted("select 2", follows=follows)), then)
