"""Databases of more tables than a question is matched with."""

import psycopg

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.schema.model import Kind, Profile
from mcp_server.nl2sql.schema.narrowing import NARROWED_TO, WHOLE_MAX, Narrowing
from mcp_server.nl2sql.words.tokens import tokenize
from tests.mcp_server.nl2sql.profiles import profile, table


def crowd(*others: object, **keys: tuple[str, str]) -> Profile:
    many = [table(f"aside_{n}", 1, aside_id=Kind.NUMBER, label=["x"]) for n in range(WHOLE_MAX)]
    return profile(*many, *others, **keys)  # type: ignore[arg-type]


def test_tables_are_found_by_their_names_columns_and_values() -> None:
    found = crowd(
        table("zebra", 3, zebra_id=Kind.NUMBER, name=["Marty"]),
        table("zoo", 3, zoo_id=Kind.NUMBER, visitors=Kind.NUMBER),
        table("zone", 3, zone_id=Kind.NUMBER, climate=["savanna"]),
    )
    narrowing = Narrowing(found, lambda part: {each.name for each in part.tables})

    assert "zebra" in narrowing.about(tokenize("How many zebras are there?"))
    assert "zoo" in narrowing.about(tokenize("Who has the most visitors?"))
    assert "zone" in narrowing.about(tokenize("what lies in the savanna"))
    assert len(narrowing.about(tokenize("How many asides?"))) <= NARROWED_TO * 1.5


def test_tables_that_join_the_found_ones_come_with_them() -> None:
    found = crowd(
        table("zebra", 3, zebra_id=Kind.NUMBER, name=["Marty"]),
        table("zz", 3, zz_id=Kind.NUMBER, of=Kind.NUMBER, at=Kind.NUMBER),
        table("zoo", 3, zoo_id=Kind.NUMBER, name=["Oslo"]),
        zz__of=("zebra", "zebra_id"),
        zz__at=("zoo", "zoo_id"),
    )
    narrowing = Narrowing(found, lambda part: part)
    part = narrowing.about(tokenize("Which zebras are in which zoo?"))

    assert {"zebra", "zoo", "zz"} <= {each.name for each in part.tables}
    assert len(part.foreign_keys) == 2
    assert part.value_index["marty"]


def test_what_only_a_legend_says_of_a_value_is_known_of_a_part_too() -> None:
    found = crowd(table("zebra", 3, zebra_id=Kind.NUMBER, kind=["A"]))
    (zebra,) = (each for each in found.tables if each.name == "zebra")
    found.value_index["annual"] = [(zebra.column("kind"), "A")]
    part = Narrowing(found, lambda part: part).about(tokenize("How many annual zebras?"))
    assert part.value_index["annual"] == [(zebra.column("kind"), "A")]


def test_a_small_database_is_looked_at_as_a_whole() -> None:
    found = profile(table("zebra", 3, zebra_id=Kind.NUMBER))
    narrowing = Narrowing(found, lambda part: part)

    assert narrowing.about(tokenize("what is the time")) is found


def test_a_table_behind_hundreds_of_others_is_asked_about(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(
            "do $$ begin for i in 1..450 loop"
            " execute format('create table aside_%s (aside_id int primary key, label text)', i);"
            " end loop; end $$"
        )
        conn.execute("create table zebra (zebra_id int primary key, name text, stripes int)")
        conn.execute("insert into zebra values (1, 'Marty', 40), (2, 'Zoe', 52)")

    translator = Translator(fresh_dsn)
    found = translator.translate("Which zebra has the most stripes?")
    assert found.sql is not None, found.reason
    with psycopg.connect(fresh_dsn) as conn:
        assert conn.execute(found.sql.encode()).fetchall() == [("Zoe",)]
    translator.close()
