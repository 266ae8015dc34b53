"""The rows of the last answer: in another order, without some, and who did what they say."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

SAILING = """
create table member (member_id int primary key, name text not null, harbour text not null);
create table outing (outing_id int primary key, member_id int not null references member,
  minutes int not null, dist int not null, dt date not null, stat varchar(2) not null);
comment on column outing.stat is 'how it went: OK done, CX called off, IN in progress';
create table painting (painting_id int primary key, title text not null, height int not null,
  painter_id int not null references member);
create table caps (cap_id int primary key, label text not null, colour text not null);
insert into member values (1, 'Ada', 'Hamar'), (2, 'Bo', 'Moss'), (3, 'Cy', 'Moss');
insert into outing values (1, 1, 10, 100, '2024-05-01', 'OK'), (2, 1, 20, 50, '2024-02-01', 'CX'),
  (3, 2, 30, 70, '2024-03-01', 'IN'), (4, 3, 5, 20, '2024-03-02', 'OK');
insert into painting values (1, 'Sea', 3, 2), (2, 'Sky', 4, 2), (3, 'Sand', 5, 1);
insert into caps values (1, 'A', 'red'), (2, 'B', 'blue'), (3, 'C', 'red');
analyze;
"""
DONE = ("Which outings are done?", "select outing_id from outing where stat = 'OK'")
DISTANCES = (
    "Outings with their distances",
    "select outing_id, dist from outing",
)
FARTHEST = (
    "top 2 outings by distance",
    "select outing_id from outing order by dist desc nulls last limit 2",
)
BUSIEST = (
    "top 2 members by number of outings",
    "select t1.name from member as t1 join outing as t2 on t2.member_id = t1.member_id "
    "group by t1.member_id, t1.name order by count(*) desc, t1.name desc limit 2",
)
SEEN = ("Which paintings are higher than 3?", "select title from painting where height > 3")
THERE = ("How many live in Hamar?", "select count(*) from member where harbour = 'Hamar'")
AVERAGE = ("Average distance of outings", "select avg(dist) from outing")


@pytest.fixture(scope="module")
def translator(module_dsn: str) -> Translator:
    return Translator(filled(module_dsn, SAILING))


def rows(translator: Translator, question: str, *context: tuple[str, str]) -> list[Any]:
    found = translator.translate(question, context=context)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(str(translator.dsn)) as conn:
        return [row[0] if len(row) == 1 else row for row in conn.execute(found.sql.encode())]


@pytest.mark.parametrize(
    ("question", "last", "found"),
    [
        # those that come first stay those, in whatever order
        ("sort by date", FARTHEST, [3, 1]),
        ("order them by distance", FARTHEST, [3, 1]),
        ("sort by name", BUSIEST, ["Ada", "Cy"]),
        ("no, sort by minutes", FARTHEST, [4, 1]),
        # by what is shown, before what else rows have
        ("longest first", DISTANCES, [(1, 100), (3, 70), (2, 50), (4, 20)]),
        # another value of what rows were told by, and no name
        ("and by moss?", THERE, [2]),
        # what was averaged
        ("and the highest?", AVERAGE, [100]),
        ("the lowest", AVERAGE, [20]),
    ],
)
def test_rows_stay_those_that_were_found(
    translator: Translator, question: str, last: tuple[str, str], found: list[Any]
) -> None:
    assert rows(translator, question, last) == found


@pytest.mark.parametrize(
    ("question", "last", "found"),
    [
        ("who made them?", DONE, ["Ada", "Cy"]),
        ("who painted these", SEEN, ["Ada", "Bo"]),
        ("leave out Sky", SEEN, ["Sand"]),
        ("who repaired them", DONE, None),
        ("who repaired them", SEEN, None),
    ],
)
def test_people_are_told_by_what_a_key_says_of_them(
    translator: Translator, question: str, last: tuple[str, str], found: list[str] | None
) -> None:
    if found is None:
        assert translator.translate(question, context=[last]).sql is None
    else:
        assert sorted(rows(translator, question, last)) == found


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("which outings were called off", [2]),
        ("outings in progress", [3]),
        ("how many outings are done", [2]),
        ("how many caps are there", [3]),
        ("which caps are red", ["A", "C"]),
    ],
)
def test_short_names_and_listed_codes(
    translator: Translator, question: str, found: list[Any]
) -> None:
    assert sorted(rows(translator, question)) == found


@pytest.mark.parametrize(
    "question", ["how many rusty caps are red", "list the rusty caps", "the leaky outings"]
)
def test_what_says_which_rows_is_never_left_out(translator: Translator, question: str) -> None:
    assert translator.translate(question).sql is None
