"""What is read of a database before any question."""

import psycopg

from mcp_server.nl2sql.profile import profile
from mcp_server.nl2sql.profile_model import Column, Kind

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
