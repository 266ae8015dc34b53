"""Questions about tables and columns are answered with rows, like others."""

import pytest

from mcp_server.nl2sql import SemanticLayer
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.found import Answer
from tests.mcp_server.nl2sql.conftest import SHOP, filled


def ask(dsn: str, question: str) -> Answer:
    answer = Asker(dsn).ask(question)
    assert answer.sql is not None, answer.reason
    assert answer.reading
    return answer


@pytest.mark.parametrize(
    "question",
    ["What tables are there?", "which tables do you have", "list the tables", "show me all tables",
     "What can I ask about?", "describe the database"],
)  # fmt: skip
def test_what_tables_there_are(shop: str, question: str) -> None:
    answer = ask(shop, question)
    assert answer.columns == ("name", "kind", "estimated_rows", "comment")
    assert answer.rows == (
        ("customer", "table", 30, ""),
        ("purchase", "table", 60, "one order of a customer"),
    )


def test_a_database_without_tables_has_none(fresh_dsn: str) -> None:
    answer = ask(fresh_dsn, "What tables are there?")
    assert answer.columns == ("name", "kind", "estimated_rows", "comment")
    assert answer.rows == ()


@pytest.mark.parametrize(
    "question",
    ["How big is purchase?", "how many rows does the table purchase have",
     "how large is purchases"],
)  # fmt: skip
def test_how_big_a_table_is_is_counted(shop: str, question: str) -> None:
    answer = ask(shop, question)
    assert answer.rows == ((60,),)
    assert answer.reading == "The number of rows of purchase."


@pytest.mark.parametrize(
    "question",
    ["What columns does customer have?", "describe customer", "which fields are in customers",
     "show the columns of customer"],
)  # fmt: skip
def test_what_a_table_has(shop: str, question: str) -> None:
    rows = ask(shop, question).rows
    assert rows[0] == ("id", "integer", "primary key", "")
    assert [row[0] for row in rows] == ["id", "name", "city", "joined"]


def test_what_a_column_means_is_what_comments_and_values_say(own_shop: str) -> None:
    filled(own_shop, "comment on column customer.city is 'where the parcel goes'")
    (row,) = ask(own_shop, "What does the column city mean?").rows
    assert row == ("customer", "city", "text", "where the parcel goes", "Lima, Oslo, Rome")


def test_what_a_metric_means_is_how_it_is_computed(own_shop: str) -> None:
    SemanticLayer(own_shop).set(
        "cubes: [{name: purchase, measures: [{name: takings, type: sum, sql: amount}]}]"
    )
    (row,) = ask(own_shop, "What does takings mean?").rows
    assert row[:2] == ("purchase", "takings")
    assert row[3] == "sum(amount)"


def test_how_tables_are_related(shop: str) -> None:
    answer = ask(shop, "How are customer and purchase related?")
    assert answer.rows == (("purchase", "customer_id", "customer", "id", "declared"),)


def test_comments_are_data_and_nothing_else(fresh_dsn: str) -> None:
    dsn = filled(fresh_dsn, SHOP)
    filled(dsn, "comment on table customer is '''); drop table purchase; --'")
    rows = ask(dsn, "what tables are there?").rows
    assert rows[0][3] == "'); drop table purchase; --"
    assert ask(dsn, "how big is purchase?").rows == ((60,),)


def test_where_tables_are_furniture_they_are_asked_for(fresh_dsn: str) -> None:
    dsn = filled(
        fresh_dsn,
        "create table dining_table (id int primary key, name text);"
        "insert into dining_table values (1, 'oak')",
    )
    assert "VALUES" not in str(Asker(dsn).ask("list the tables").sql)
