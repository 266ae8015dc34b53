"""What joins tables: declared keys, keys that names and values tell of, and nothing else."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.schema.inference import inferred
from mcp_server.nl2sql.schema.model import Column, Kind, Profile
from mcp_server.nl2sql.schema.profile import profile as profiled
from tests.mcp_server.nl2sql.conftest import filled
from tests.mcp_server.nl2sql.profiles import profile, table

MILL = """
create table batch (mill_id int, batch_no int, grain text, primary key (mill_id, batch_no));
create table sack (
  sack_id int primary key, mill_id int not null, batch_no int not null, kilos int, damaged boolean,
  foreign key (mill_id, batch_no) references batch (mill_id, batch_no));
insert into batch values
  (1, 1, 'rye'), (1, 2, 'oats'), (2, 1, 'rye'), (2, 2, 'wheat'), (3, 1, 'spelt');
insert into sack values (1, 1, 1, 20, false), (2, 1, 1, 30, true), (3, 1, 2, 10, false),
  (4, 2, 1, 40, false), (5, 2, 2, 50, false), (6, 2, 2, 5, true), (7, 2, 2, 60, false);
analyze;
"""


@pytest.fixture(scope="module")
def mill(module_dsn: str) -> str:
    return filled(module_dsn, MILL)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many sacks are of rye batches?", [(3,)]),
        ("How many sacks are there for each grain?", [("oats", 1), ("rye", 3), ("wheat", 3)]),
        ("What is the total kilos of sacks for each grain?",
         [("oats", 10), ("rye", 90), ("wheat", 115)]),
        ("Which grains have no sacks?", [("spelt",)]),
    ],
)  # fmt: skip
def test_a_key_of_several_columns_joins_on_all_of_them(
    mill: str, question: str, expected: list[Any]
) -> None:
    found = Translator(mill).translate(question)

    assert found.sql is not None, found.reason
    with psycopg.connect(mill) as conn:
        assert sorted(conn.execute(found.sql.encode()).fetchall()) == expected


def test_of_a_key_of_several_columns_nothing_is_known_where_one_may_not_be_read(mill: str) -> None:
    with psycopg.connect(mill, autocommit=True) as conn:
        (key,) = profiled(conn).foreign_keys

    assert {str(column) for column, _ in key.pairs} == {"sack.mill_id", "sack.batch_no"}
    assert {str(target) for _, target in key.pairs} == {"batch.mill_id", "batch.batch_no"}


def joins(found: Profile) -> set[str]:
    return {f"{key.column}={key.target}" for key in inferred(found)}


def spread(of: Column, low: float, high: float, distinct: int) -> None:
    of.low, of.high, of.distinct = low, high, distinct


def measured(name: str, **columns: Kind | list[str]) -> Any:
    made = table(name, 50, **columns)
    for column in made.columns:
        if column.kind is Kind.NUMBER:
            spread(column, 1, 50, 50 if column.primary else 20)
    return made


def test_numbers_and_texts_of_one_name_join_nothing() -> None:
    found = profile(
        measured("river", river_id=Kind.NUMBER, length=Kind.NUMBER, colour=["red", "blue"]),
        measured("road", road_id=Kind.NUMBER, length=Kind.NUMBER, colour=["red", "blue"]),
        measured("pipe", pipe_id=Kind.NUMBER, length=Kind.NUMBER, amount=Kind.NUMBER),
    )

    assert not joins(found)


def test_numbers_that_differ_in_every_row_join_nothing_unless_they_are_called_a_key() -> None:
    one = measured("river", river_id=Kind.NUMBER, length=Kind.NUMBER, plan_no=Kind.NUMBER)
    other = measured("road", road_id=Kind.NUMBER, length=Kind.NUMBER, plan_no=Kind.NUMBER)
    for column in (one.columns[1], one.columns[2]):
        spread(column, 1, 50, 50)

    assert joins(profile(one, other)) == {"road.plan_no=river.plan_no"}


@pytest.mark.parametrize(
    ("name", "joined"),
    [
        ("harbour_id", True),
        ("home_harbour_id", True),
        ("harbour", True),
        ("id_of_harbour", False),
        ("harbour_count", False),
    ],
)
def test_a_column_named_as_a_table_refers_to_its_key(name: str, joined: bool) -> None:
    found = profile(
        measured("harbour", id=Kind.NUMBER, label=["x"]),
        measured("boat", boat_id=Kind.NUMBER, **{name: Kind.NUMBER}),
    )

    assert joins(found) == ({f"boat.{name}=harbour.id"} if joined else set())


def test_a_column_with_values_that_a_key_has_not_does_not_refer_to_it() -> None:
    boat = measured("boat", boat_id=Kind.NUMBER, harbour_id=Kind.NUMBER)
    spread(boat.columns[1], 1, 99, 20)

    assert not joins(profile(measured("harbour", id=Kind.NUMBER), boat))


def test_a_word_that_all_names_begin_with_says_nothing() -> None:
    found = profile(
        measured("zzHarbour", zzHarbourId=Kind.NUMBER, zzLabel=["x"], zzDepth=Kind.NUMBER),
        measured("zzBoat", zzBoatId=Kind.NUMBER, zzBtHarbourId=Kind.NUMBER, zzSize=Kind.NUMBER),
    )

    assert joins(found) == {"zzBoat.zzBtHarbourId=zzHarbour.zzHarbourId"}


def test_tables_are_asked_and_not_the_views_over_them(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(MILL.encode())
        conn.execute(
            "create view all_sacks as select sack_id, mill_id, kilos from sack;"
            "create view batches as select * from batch where mill_id = 1"
        )
    translator = Translator(fresh_dsn)
    for question in ("How many batches are there?", "How many sacks are of rye batches?"):
        found = translator.translate(question)
        assert found.sql is not None, found.reason
        assert not {"batches", "all_sacks"} & set(found.sql.split())
    translator.close()


def test_a_column_is_named_for_the_last_word_of_a_table_unless_a_table_is_called_so() -> None:
    route = measured("ferry_harbour", id=Kind.NUMBER, label=["x"])
    boat = measured("boat", boat_id=Kind.NUMBER, harbour=Kind.NUMBER)
    fees = measured("fee", harbour=Kind.NUMBER, amount=Kind.NUMBER)
    harbour = measured("harbour", id=Kind.NUMBER, label=["y"])

    assert joins(profile(route, boat)) == {"boat.harbour=ferry_harbour.id"}
    assert joins(profile(harbour, boat, fees)) == {
        "boat.harbour=harbour.id",
        "fee.harbour=harbour.id",
    }


def test_a_table_of_nothing_but_keys_is_no_home_of_one() -> None:
    boat = measured("boat", bid=Kind.NUMBER, label=["x"])
    crew = measured("crew", cid=Kind.NUMBER, label=["y"])
    both = measured("service", bid=Kind.NUMBER, cid=Kind.NUMBER)
    for made in (boat, crew, both):
        made.columns[0].primary = made.columns[0].unique = False
        spread(made.columns[0], 1, 50, 50)

    assert joins(profile(boat, crew, both)) == {"service.bid=boat.bid", "service.cid=crew.cid"}


def test_of_two_columns_that_put_rows_of_a_table_together_both_refer_to_it() -> None:
    names = ["Alvdal", "Birken", "Cedra"]
    county = table("county", 3, county=names, people=Kind.NUMBER)
    nearby = table("nearby", 6, county=names, neighbour=names)
    told = table("nickname", 3, county=names, nickname=["Al", "Birken", "Ced"])
    for each in (nearby, told):
        each.columns[0].primary = each.columns[0].unique = False
        each.columns[0].distinct = 2
    assert "nearby.neighbour=county.county" in joins(profile(county, nearby))
    assert "nickname.nickname=county.county" not in joins(profile(county, told))
