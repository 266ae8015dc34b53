"""No column, however odd, keeps questions about the others from being answered."""

from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from mcp_server.nl2sql import Translation, Translator
from mcp_server.nl2sql.schema.model import Kind, Profile
from mcp_server.nl2sql.schema.profile import profile

PARTS = """
create table part (part_id int primary key, label text, weight int);
insert into part values (1, 'bolt', 5), (2, 'nut', 3), (3, 'washer', 1);
"""
ODD = {
    "money": "create table odd (id int, fee money); insert into odd values (1, 12.5), (2, 99)",
    "not a number": "create table odd (id int, x numeric, y float8, z real);"
    "insert into odd values (1, 'NaN', 'NaN', 'NaN'), (2, 5, 'Infinity', '-Infinity')",
    "endless numeric": "create table odd (id int, x numeric);"
    "insert into odd values (1, 'Infinity'), (2, '-Infinity')",
    "huge numbers": "create table odd (id int, x numeric, y text);"
    "insert into odd values (1, 10::numeric ^ 400, '1e999'), (2, -(10::numeric ^ 5000), '5')",
    "a materialized view without rows": "create table base (id int);"
    "create materialized view odd as select id from base with no data",
    "a view that fails": "create view odd as select 1 as id, 1 / (oid::int8 - oid::int8) as x"
    " from pg_class",
    "a view that never ends": "create view odd as select count(*)::int as id, 'x'::text as name"
    " from generate_series(1, 1000000000) a, generate_series(1, 1000000000) b",
    "a table without rows": "create table odd (id int, name text, x numeric, seen date, f money)",
    "a table without columns": "create table odd ()",
    "a domain over an array": "create domain several as int[]; create table odd (id several);"
    "insert into odd values ('{1,2}')",
    "a domain over a domain over money": "create domain fee as money; create domain due as fee;"
    "create table odd (id int, due due); insert into odd values (1, 7)",
    "dates without end": "create table odd (id int, seen date, made timestamp, at timestamptz);"
    "insert into odd values (1, 'infinity', '-infinity', 'infinity'),"
    "(2, '0044-03-15 BC', '0044-03-15 BC', '20000-01-01')",
    "times of day and durations": "create table odd (id int, at time, zoned timetz, took interval);"
    "insert into odd values (1, '24:00', '24:00+15:59', '178000000 years'),"
    "(2, '00:00', '00:00-15:59', '-1 month')",
    "ranges, json, bits": "create table odd (r int4range, m datemultirange, j json,"
    "b varbit, t tsvector, p point, c cidr);"
    "insert into odd values ('[1,)', '{[2020-01-01,)}', '{}', '101', 'a b', '(1,2)',"
    "'10.0.0.0/8')",
    "composite values": "create type pair as (a int, b text);"
    "create table odd (id pair, several pair[]); insert into odd values ((1, 'x'), '{}')",
    "numbers of objects": "create table odd (id oid, k regclass, f regproc, t regtype);"
    "insert into odd values (1, 'pg_class', 'now', 'int4')",
    "long texts": "create table odd (id int, body text, bytes bytea);"
    "insert into odd select i, repeat('x', 3000000), repeat('y', 100)::bytea"
    " from generate_series(1, 3) i",
    "names of no letters": 'create table "-" ("id" int primary key, "%" text, " " int);'
    "insert into \"-\" values (1, 'x', 2)",
    "digits that are none of PostgreSQL's": "create table odd (id int, code text);"
    "insert into odd values (1, '٣'), (2, '²')",
}


def profiled(dsn: str) -> Profile:
    with psycopg.connect(dsn, autocommit=True) as conn:
        return profile(conn)


def rows(dsn: str, found: Translation) -> list[tuple[Any, ...]]:
    assert found.sql is not None, found.reason
    with psycopg.connect(dsn) as conn:
        return conn.execute(found.sql.encode()).fetchall()


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_column_hides_no_other(fresh_dsn: str, odd: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute((odd + ";" + PARTS).encode())
    translator = Translator(fresh_dsn)

    assert rows(fresh_dsn, translator.translate("How many parts are there?")) == [(3,)]
    found = translator.translate("What is the weight of the bolt?")
    assert rows(fresh_dsn, found) == [(5,)]
    translator.translate("Show everything about odd with the id 1")
    translator.close()


def test_columns_beside_one_that_cannot_be_read_are_read(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table base (id int, name text, size int)")
        conn.execute("insert into base values (1, 'Ann', 7)")
        conn.execute(
            "create view half as select name, size, left(name, id - 1)::int as broken from base"
        )
    found = {str(column): column for column in profiled(fresh_dsn).columns}

    assert found["half.name"].values == {"ann": "Ann"}
    assert found["half.size"].high == 7
    assert found["half.broken"].high is None


def test_money_is_compared_summed_and_averaged(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create table ticket (ticket_id int primary key, holder text, fee money)")
        conn.execute("insert into ticket values (1, 'Ann', 10), (2, 'Ben', 20), (3, 'Eva', 60)")
    (table,) = profiled(fresh_dsn).tables
    fee = table.columns[2]
    translator = Translator(fresh_dsn)

    assert (fee.kind, fee.low, fee.high) == (Kind.NUMBER, 10, 60)
    average = translator.translate("What is the average fee of the tickets?")
    assert [float(value) for (value,) in rows(fresh_dsn, average)] == [30]
    above = translator.translate("Which ticket holders have a fee above 15?")
    assert sorted(rows(fresh_dsn, above)) == [("Ben",), ("Eva",)]


def test_ranges_leave_out_what_is_no_number(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute("create domain grams as numeric")
        conn.execute("create table part (x float8, y grams)")
        conn.execute("insert into part values (1, 4), ('NaN', 'NaN'), (3, 'Infinity'), (2, 9)")
    x, y = profiled(fresh_dsn).columns

    assert (x.low, x.high) == (1, 3)
    assert (y.low, y.high) == (4, 9)


def test_what_the_role_may_not_read_hides_nothing_else(fresh_dsn: str) -> None:
    role = "some_of_" + str(conninfo_to_dict(fresh_dsn)["dbname"])
    with psycopg.connect(fresh_dsn, autocommit=True) as admin:
        admin.execute(PARTS.encode())
        admin.execute("create table secret (id int, name text); create schema hidden;"
                      "create table hidden.part (part_id int, label text);"
                      "create view over_secret as select * from secret")  # fmt: skip
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        admin.execute(sql.SQL("grant select on part to {}").format(sql.Identifier(role)))
    try:
        assert [table.name for table in profiled(make_conninfo(fresh_dsn, user=role)).tables] == [
            "part"
        ]
    finally:
        with psycopg.connect(fresh_dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("revoke all on part from {}").format(sql.Identifier(role)))
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_the_partitions_of_a_table_are_one_table(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(
            "create table reading (taken date, place text) partition by range (taken);"
            "create table reading_old partition of reading for values from (minvalue) to"
            " ('2020-01-01');"
            "create table reading_new partition of reading for values from ('2020-01-01') to"
            " (maxvalue) partition by list (place);"
            "create table reading_new_all partition of reading_new default;"
        )
        conn.execute(
            "insert into reading select date '2019-12-01' + i, 'Oslo' from generate_series(1, 60) i"
        )
        conn.execute("analyze reading_old, reading_new_all")
    found = profiled(fresh_dsn)

    assert [(table.name, table.rows) for table in found.tables] == [("reading", 60)]
    answer = Translator(fresh_dsn).translate("How many readings are there?")
    assert rows(fresh_dsn, answer) == [(60,)]
