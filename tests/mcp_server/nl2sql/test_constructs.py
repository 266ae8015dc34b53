"""What a question says is in the query, or the query is not given out."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

DEPOT = """
create table town (town_id int primary key, name text not null, region text);
create table driver (driver_id int primary key, name text not null, born date, is_certified boolean,
  licence char(1), trainer_id int references driver);
comment on column driver.licence is 'H = heavy, L = light, T = temporary';
create table haul (
  haul_id int primary key, driver_id int not null references driver,
  origin_town_id int not null references town, target_town_id int not null references town,
  started_at timestamp not null, finished_at timestamp, due_on date, delivered_on date,
  state text, crates int, crate_weight numeric(6, 1));
insert into town values (1, 'Ålesund', 'west'), (2, 'Bodø', 'north'), (3, '東京', 'east'),
  (4, 'Москва', 'east'), (5, 'القاهرة', 'south'), (6, 'Narvik', 'north');
insert into driver values (1, 'Ada', '1980-05-01', true, 'H', null),
  (2, 'Bo', '1991-01-01', false, 'L', 1), (3, 'Cy', '2001-12-31', true, 'L', 1),
  (4, 'Di', '1975-03-03', true, 'T', 2);
insert into haul values
  (1, 1, 1, 2, '2024-03-02 08:00', '2024-03-02 10:00', '2024-03-03', '2024-03-02', 'done', 4, 2.5),
  (2, 1, 2, 1, '2024-03-04 09:00', '2024-03-04 09:30', '2024-03-04', '2024-03-06', 'done', 10, 1),
  (3, 2, 3, 4, '2024-03-05 08:00', '2024-03-05 12:00', '2024-03-06', '2024-03-07', 'done', 2, 8),
  (4, 2, 4, 3, '2024-03-09 23:00', null, '2024-03-10', null, 'In Progress', 6, 5),
  (5, 3, 1, 6, '2024-03-10 08:00', null, '2024-03-20', null, 'In Progress', 20, 1.5),
  (6, 4, 6, 1, '2024-03-11 10:00', null, null, null, 'On Hold', 1, 30),
  (7, 3, 5, 1, '2024-03-12 08:15', null, null, null, 'Not Started', 3, 4);
analyze;
"""


@pytest.fixture(scope="module")
def depot(module_dsn: str) -> str:
    return filled(module_dsn, DEPOT)


@pytest.fixture(scope="module")
def translator(depot: str) -> Translator:
    return Translator(depot)


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # signs of comparison
    ("hauls with crates > 6", [(2,), (5,)]),
    ("hauls with crates >= 6", [(2,), (4,), (5,)]),
    ("hauls where crates<3", [(3,), (6,)]),
    ("hauls with crates ≤ 2", [(3,), (6,)]),
    ("hauls with crates = 10", [(2,)]),
    ("hauls with crates != 10", [(1,), (3,), (4,), (5,), (6,), (7,)]),
    ("hauls with 3 < crates <= 6", [(1,), (4,)]),
    ("hauls with 10 <= crates", [(2,), (5,)]),
    ("How many hauls have state != 'done'?", [(4,)]),
    ("How many hauls have state = 'done'?", [(3,)]),
    # every script, and letters put together of parts
    ("What is the region of 東京?", [("east",)]),
    ("what is the region of москва", [("east",)]),
    ("What is the region of القاهرة?", [("south",)]),
    ("What is the region of A\u030alesund?", [("west",)]),
    # values that begin with a small word
    ("How many hauls are in progress?", [(2,)]),
    ("How many hauls are on hold?", [(1,)]),
    ("which hauls are not started", [(7,)]),
    # days and times
    ("How many hauls started on weekends?", [(3,)]),
    ("How many hauls were delivered late?", [(2,)]),
    ("What is the average duration of hauls in minutes?", [(130,)]),
    ("What is the longest haul duration in hours?", [(4,)]),
    ("average days between due date and delivered date", [(2 / 3,)]),
    ("number of hauls by hour of day", [(8, 4), (9, 1), (10, 1), (23, 1)]),
    ("hauls per weekday", [(1, 2), (2, 2), (6, 2), (7, 1)]),
    ("hauls that started at night", [(4,)]),
    ("How many hauls started in the morning?", [(6,)]),
    ("How many hauls started on Mondays?", [(2,)]),
    ("How many hauls started on Mondays or Tuesdays?", [(4,)]),
    ("hauls that started after 9 am", [(2,), (4,), (6,)]),
    ("How many hauls started in March?", [(7,)]),
    ("How many hauls started in summer?", [(0,)]),
    ("How many hauls started before April 2024?", [(7,)]),
    ("How many hauls started in the week of 4 March 2024?", [(4,)]),
    ("In which month did the most hauls start?", [("2024-03-01",)]),
    ("busiest hour by number of hauls", [(8,)]),
    ("hauls that took more than an hour", [(1,), (3,)]),
    ("hauls that lasted less than half an hour", []),
    ("hauls longer than 3 hours", [(3,)]),
    ("How long did each haul take in minutes?",
     [(1, 120), (2, 30), (3, 240), (4, None), (5, None), (6, None), (7, None)]),
    ("average haul duration per driver in hours",
     [("Ada", 1.25), ("Bo", 4), ("Cy", None), ("Di", None)]),
    ("the longest haul", [(3,)]),
    ("drivers under 30 years old", [("Cy",)]),
    ("drivers born in the 90s", [("Bo",)]),
    ("the first haul of each driver",
     [("Ada", "2024-03-02 08:00:00"), ("Bo", "2024-03-05 08:00:00"),
      ("Cy", "2024-03-10 08:00:00"), ("Di", "2024-03-11 10:00:00")]),
    ("each driver's last haul",
     [("Ada", "2024-03-04 09:00:00"), ("Bo", "2024-03-09 23:00:00"),
      ("Cy", "2024-03-12 08:15:00"), ("Di", "2024-03-11 10:00:00")]),
    ("number of hauls in March 2024 versus March 2023", [(7, 0)]),
    # shares and ratios, and parts beside each other
    ("What is the ratio of done hauls to all hauls?", [(3 / 7,)]),
    ("ratio of hauls with crates above 5 to hauls with crates below 5", [(3 / 4,)]),
    ("ratio of drivers to towns", [(4 / 6,)]),
    ("What is the average number of hauls per driver?", [(7 / 4,)]),
    ("number of done vs on hold hauls", [(3, 1)]),
    # columns put together, and other measures
    ("What is the total crates * crate weight of the hauls?", [(138,)]),
    ("the sum of crates times crate weight", [(138,)]),
    ("What is the median number of crates?", [(4,)]),
    # places in an order
    ("Which driver has the second most hauls?", [("Bo",), ("Cy",)]),
    ("Which haul has the 2nd most crates?", [(2,)]),
    ("Which drivers have the most hauls?", [("Ada",), ("Bo",), ("Cy",)]),
    # adjectives, codes that a comment explains
    ("How many certified drivers are there?", [(3,)]),
    ("How many drivers are not certified?", [(1,)]),
    ("How many drivers have a light licence?", [(2,)]),
    ("names of temporary drivers", [("Di",)]),
    # two keys to one table, and a key to the table itself
    ("How many hauls have the origin Ålesund?", [(2,)]),
    ("How many hauls have the target town Ålesund?", [(3,)]),
    ("hauls from Ålesund to Narvik", [(5,)]),
    ("How many hauls go from Bodø to Ålesund?", [(1,)]),
]  # fmt: skip


def plain(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows whose numbers are alike whatever their type."""
    return sorted(
        [round(float(v), 6) if isinstance(v, int | float | Decimal) else str(v) for v in row]
        for row in rows
    )


@pytest.mark.parametrize(("question", "expected"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers(
    translator: Translator, depot: str, question: str, expected: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)

    # the reading is what is tested here; how sure it is depends on weights that are fitted
    query = found.sql or (found.candidates[0].sql if found.candidates else "")
    assert query, found.reason
    with psycopg.connect(depot) as conn:
        rows = conn.execute(query.encode()).fetchall()
    if question.startswith("Which driver has the second"):
        assert plain(rows)[0] in plain(expected)  # who of those that are level is not said
    else:
        assert plain(rows) == plain(expected), query


DROPPED = [
    "average crates of oversized hauls",
    "how many big hauls",
    "number of cheap drivers",
    "towns with the most VIP drivers",
    "hauls in wintertime",
    "hauls at dusk",
    "How many urgent hauls are there?",
    "how many hauls have insurance",
    "drivers in Тверь",
    "hauls to 大阪",
    "hauls with 5 % crates",
    "hauls with crates ~ 5",
    "running total of crates by driver",
    "crates growth by driver",
    "how many hauls were cancelled",
    "Which drivers from القدس are certified?",
    "hauls of major towns",
    "drivers with the most consecutive hauls",
]


@pytest.mark.parametrize("question", DROPPED)
def test_a_word_that_no_part_of_the_query_uses_is_not_passed_over(
    translator: Translator, question: str
) -> None:
    found = translator.translate(question)

    assert found.sql is None, found.sql
    assert found.confidence <= 0.5
