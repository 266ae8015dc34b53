"""What a language model gets wrong and the database knows: names, joins, values, groups."""

import psycopg
import pytest

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.mending.mend import Mended, mends
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.profile import profile

HARBOUR = """
create table port (code text primary key, town text, land text);
create table line (id int primary key, title text, hail text);
create table ship (
  id int primary key, name text, line int references line, home text references port,
  tonnage int, laid_up text);
create table visit (
  id int primary key, ship_id int references ship, at text references port, paid numeric,
  year int, status text);
insert into port values ('NOR', 'North Haven', 'Norway'), ('LIS', 'Lisbon', 'Portugal');
insert into line values (1, 'Blue Star', 'BS'), (2, 'Red Cross Line', 'RC');
insert into ship values (1, 'Anna', 1, 'NOR', 900, '0'), (2, 'Berta', 1, 'LIS', 400, '1'),
  (3, 'Clara', 2, 'LIS', 700, '0');
insert into visit values (1, 1, 'LIS', 10, 2020, 'InProgress'), (2, 1, 'NOR', 20, 2021, 'Done'),
  (3, 2, 'NOR', 5, 2021, 'Done'), (4, 3, 'LIS', 50, 2020, 'Done');
analyze;
"""


@pytest.fixture(scope="module")
def harbour(module_dsn: str) -> str:
    with psycopg.connect(module_dsn, autocommit=True) as conn:
        conn.execute(HARBOUR)
    return module_dsn


def rows_after(dsn: str, sql: str) -> tuple[list[tuple[object, ...]], Mended]:
    """What the first mend that serves finds, tried as the plan tries them."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        found = profile(conn)
        linker, graph = Linker(found), JoinGraph(found)

        def run(text: str) -> list[tuple[object, ...]] | None:
            try:
                return conn.execute(text.encode()).fetchall()
            except psycopg.Error:
                return None

        best, rows = Mended(sql, ()), run(sql)
        for failed in (True, False):
            if failed is not (rows is None) and rows:
                break
            for other in mends(best.sql, linker, graph, failed=failed):
                now = run(other.sql)
                if now is not None and (failed or now):
                    best, rows = Mended(other.sql, (*best.notes, *other.notes)), now
                    break
        assert rows is not None, best.sql
        return rows, best


MENDED = {
    "a table of nearly that name": (
        "select count(*) from ships", [(3,)]),
    "a column that a key leads to": (
        "select name from ship where town = 'Lisbon' order by name", [("Berta",), ("Clara",)]),
    "a column of another table that is read": (
        "select v.name from visit as v join ship as s on v.ship_id = s.id where v.year = 2020"
        " order by 1", [("Anna",), ("Clara",)]),
    "a column that two tables have": (
        "select count(id) from ship join visit on ship.id = visit.ship_id", [(4,)]),
    "a join by names where the key is a number": (
        "select s.name from ship s join line l on s.line = l.title where l.title = 'Blue Star'"
        " and s.tonnage < 500",
        [("Berta",)]),
    "a join by way of a third table": (
        "select count(*) from visit join line on visit.ship_id = line.title"
        " where line.title = 'Blue Star'", [(3,)]),
    "a key compared with a name": (
        "select name from ship where line = 'Blue Star' order by name", [("Anna",), ("Berta",)]),
    "a key that is not the one named": (
        "select name from ship where line <> 'Blue Star'", [("Clara",)]),
    "a membership by another column": (
        "select title from line where title in (select line from ship where tonnage > 800)",
        [("Blue Star",)]),
    "text compared with a number": (
        "select name from ship where laid_up = 1", [("Berta",)]),
    "a subquery with several rows": (
        "select name from ship where id = (select ship_id from visit where year = 2021)"
        " order by name", [("Anna",), ("Berta",)]),
    "the highest of counts": (
        "select ship_id from visit group by ship_id having count(*) ="
        " (select max(count(*)) from visit group by ship_id)", [(1,)]),
    "a bound on an aggregate": (
        "select ship_id from visit where sum(paid) > 40 group by ship_id", [(3,)]),
    "a group that is missing": (
        "select at, sum(paid) from visit order by 1", [("LIS", 60), ("NOR", 25)]),
    "the row of a maximum": (
        "select max(tonnage), name from ship", [(900, "Anna")]),
    "an alias in HAVING": (
        "select at, sum(paid) as total from visit group by at having total > 30", [("LIS", 60)]),
    "a value in other letters": (
        "select name from ship where name = 'ANNA'", [("Anna",)]),
    "a value written in two words": (
        "select count(id) from visit where status = 'in progress' group by status", [(1,)]),
    "a value with a letter wrong": (
        "select land from port where town = 'Lisbom'", [("Portugal",)]),
    "yes for a one": (
        "select name from ship where laid_up = 'Y'", [("Berta",)]),
    "a name in the column of codes": (
        "select land from port where code = 'Lisbon'", [("Portugal",)]),
    "a join that no key makes": (
        "select s.name from ship s join visit v on s.tonnage = v.year where v.status = 'Done'"
        " and s.name = 'Clara'", [("Clara",)]),
}  # fmt: skip


@pytest.mark.parametrize("kind", MENDED)
def test_what_a_model_gets_wrong_is_put_right(harbour: str, kind: str) -> None:
    sql, expected = MENDED[kind]
    rows, mended = rows_after(harbour, sql)
    assert rows == expected, mended
    assert mended.notes


LEFT_ALONE = [
    "select nope from ship",
    "select count(*) from weather",
    "select name from ship where name = 'Zebedee'",
    "not even sql",
    "select 1 from",
    # Another word, and another number, are no typing errors.
    "select count(*) from visit where status = 'Dine'",
    "select count(*) from port where land = 'Norway 2'",
    # A condition beside the join by the key is the question's.
    "select count(*) from ship s join port p on s.home = p.code where s.name = p.town",
    "select s.name, count(*) over () from ship s where s.tonnage > 10000",
]


@pytest.mark.parametrize("sql", LEFT_ALONE)
def test_what_nothing_explains_is_left_to_the_model(harbour: str, sql: str) -> None:
    with psycopg.connect(harbour, autocommit=True) as conn:
        found = profile(conn)
    linker, graph = Linker(found), JoinGraph(found)
    for failed in (True, False):
        assert mends(sql, linker, graph, failed=failed) == []


def test_a_query_that_names_things_in_capitals_is_mended_with_its_quotes(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(
            'create table "Order" ("Id" int primary key, "Total" int);'
            'create table "Item" ("Id" int primary key, "OrderId" int references "Order");'
            'insert into "Order" values (1, 5); insert into "Item" values (1, 1); analyze'
        )
    rows, mended = rows_after(fresh_dsn, 'select "Total" from "Item"')
    assert rows == [(5,)]
    assert '"Order"."Total"' in mended.sql
