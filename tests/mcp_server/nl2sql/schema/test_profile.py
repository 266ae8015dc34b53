"""What is read of a database before any question."""

import psycopg

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.schema.model import Column, Kind
from mcp_server.nl2sql.schema.profile import profile

THINGS = """
create table thing (
  thing_id int primary key, label text, weight numeric, year int, code text, mixed text, seen date);
insert into thing values
  (1, 'Aberdeen ', 2.5, 1999, '07', '9', '2020-01-01'),
  (2, 'Aberdeen', 7, 2010, '12', '10', '2021-01-01'),
  (3, 'Bergen!', 4, 2005, '33', null, null);
create table shelf (shelf_id int primary key, thing_id int references thing, spot text);
comment on column shelf.spot is 'where it stands';
analyze;
"""


def columns(dsn: str) -> dict[str, Column]:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(THINGS)
        return {column.name: column for column in profile(conn).columns}


def test_a_profile_has_ranges_keys_kinds_and_comments(fresh_dsn: str) -> None:
    found = columns(fresh_dsn)

    assert (found["weight"].low, found["weight"].high) == (2.5, 7.0)
    assert (found["code"].low, found["code"].high) == (7.0, 33.0)
    assert found["year"].year_like
    assert found["seen"].kind is Kind.DATE
    assert found["spot"].comment == "where it stands"
    assert found["shelf_id"].primary


def test_values_are_compared_without_case_and_marks_and_kept_as_they_are(fresh_dsn: str) -> None:
    values = columns(fresh_dsn)["label"].values

    assert values == {"aberdeen": "Aberdeen", "bergen": "Bergen!"}


def test_numbers_in_text_sort_as_text_only_if_all_are_of_one_length(fresh_dsn: str) -> None:
    found = columns(fresh_dsn)

    assert (found["code"].numeric_text, found["code"].sorts_as_text) == (True, True)
    assert (found["mixed"].numeric_text, found["mixed"].sorts_as_text) == (True, False)


def test_texts_that_are_written_alike_have_a_shape(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table part (part_id int primary key, serial text, remark text)")
        conn.execute(
            "insert into part select g, 'AB-' || g, md5(g::text) || g from generate_series(1, 40) g"
        )
        found = {column.name: column.shapes for column in profile(conn).columns}

    assert found["serial"] == {"a-9"}
    assert found["remark"] == frozenset()


def test_a_code_that_was_not_looked_at_is_compared_with_the_column_of_its_shape(
    fresh_dsn: str,
) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table part (part_id int primary key, serial text, colour text)")
        conn.execute(
            "insert into part select g, 'AB-' || g, 'red' from generate_series(1, 30000) g"
        )
        conn.execute("analyze")

    found = Translator(fresh_dsn).translate("What is the colour of the part AB-29999?")

    assert found.sql is not None, found.reason
    assert "serial = 'AB-29999'" in found.sql


def test_sizes_are_known_of_tables_that_were_never_analysed(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table part (part_id int primary key, weight int)")
        conn.execute("insert into part select g, g % 5 from generate_series(1, 40) g")
        (table,) = profile(conn).tables

    assert [table.rows, *(column.distinct for column in table.columns)] == [40, 40, 5]
