# ruff: noqa: E501 -- a question reads best beside its SQL
"""Questions of business: revenue, cohorts, people who come back, periods, definitions."""

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.database.digest import digest
from tests.mcp_server.nl2sql.conftest import filled

STUDIO = """
create table member (member_id int primary key, name text not null, country text not null, join_date date not null);
create table coach (coach_id int primary key, name text not null, hired_on date not null);
create table booking (booking_id int primary key, member_id int not null references member,
  coach_id int not null references coach, booked_on date not null, price numeric(6, 2) not null, status text not null);
create table fuelprice (fuel_id int primary key, read_on date not null, open numeric(6, 2), close numeric(6, 2));
create table listing (listing_id int primary key, price numeric(6, 2));
insert into member select i, (array['Ann','Ben','Cid','Dot','Eve','Flo','Gus','Hal','Ivy','Jo'])[i],
  (array['Chile','Peru','Ghana'])[1 + i % 3], date '2022-03-01' + i * 70 from generate_series(1, 10) i;
insert into coach values (1, 'Kit', '2021-02-01'), (2, 'Lou', '2024-01-15'), (3, 'Max', '2024-03-01');
insert into booking select i, 1 + (i * i) % 9, 1 + i % 3, date '2023-02-01' + i * 17, 20 + (i * 7) % 31,
  (array['kept', 'cancelled', 'kept', 'missed', 'kept'])[1 + (i * 3 + i / 7) % 5] from generate_series(1, 40) i;
insert into booking values (41, 10, 1, '2024-12-01', 33, 'kept');
insert into fuelprice select i, date '2024-01-01' + i, 10 + i, 11 + (i * 5) % 7 from generate_series(1, 9) i;
insert into listing select i, 5 + i from generate_series(1, 5) i;
analyze;
"""


@pytest.fixture(scope="module")
def studio(module_dsn: str) -> str:
    return filled(module_dsn, STUDIO)


@pytest.fixture(scope="module")
def translator(studio: str) -> Translator:
    return Translator(studio)


FIRST = "select member_id from booking group by member_id having min(booked_on)"
ANSWERS = [
    # measures by what business calls them
    ("total revenue by country", "select country, sum(price) from member join booking using (member_id) group by 1"),
    ("What is the average booking value per coach?", "select c.name, avg(price) from coach c join booking using (coach_id) group by c.coach_id, c.name"),
    ("top 2 coaches by booking amount", "select c.name from coach c join booking using (coach_id) group by c.coach_id, c.name order by sum(price) desc limit 2"),
    ("booking count per coach", "select c.name, count(*) from coach c join booking using (coach_id) group by c.coach_id, c.name"),
    ("average closing price", "select avg(close) from fuelprice"),
    # a bare period is of what happened
    ("How many bookings did each coach have in 2024?", "select c.name, count(*) from booking join coach c using (coach_id) where extract(year from booked_on) = 2024 group by c.coach_id, c.name"),
    ("top 2 coaches by number of bookings in 2024", "select c.name from coach c join booking using (coach_id) where extract(year from booked_on) = 2024 group by c.coach_id, c.name order by count(*) desc limit 2"),
    ("total price by country in 2024", "select country, sum(price) from booking join member using (member_id) where extract(year from booked_on) = 2024 group by 1"),
    ("How many coaches were hired in 2024?", "select count(*) from coach where extract(year from hired_on) = 2024"),
    ("number of bookings of members who joined in 2023", "select count(*) from booking join member using (member_id) where extract(year from join_date) = 2023"),
    # what is listed in a sentence of its own is what is shown
    ("How many bookings were cancelled in 2024? Return the number of bookings and the total price.", "select count(*), sum(price) from booking where status = 'cancelled' and extract(year from booked_on) = 2024"),
    # cohorts
    ("members whose first booking was in 2024", f"select name from member where member_id in ({FIRST} between '2024-01-01' and '2024-12-31')"),
    ("how many members made their first booking before June 2023", f"select count(*) from member where member_id in ({FIRST} < '2023-06-01')"),
    ("number of bookings of members whose first booking was after 2023", f"select count(*) from booking where member_id in ({FIRST} > '2023-12-31')"),
    ("how many repeat members are there", "select count(*) from (select 1 from booking group by member_id having count(*) > 1) as again"),
    ("what share of members are repeat members", "select 100.0 * (select count(*) from (select 1 from booking group by member_id having count(*) > 1) as again) / (select count(*) from member)"),
    ("what percentage of members are one-time members", "select 100.0 * (select count(*) from (select 1 from booking group by member_id having count(*) = 1) as once) / (select count(*) from member)"),
    ("repeat members by country", "select country, count(*) from member where member_id in (select member_id from booking group by 1 having count(*) > 1) group by 1"),
    ("total price of bookings of members with more than 4 bookings", "select sum(price) from booking where member_id in (select member_id from booking group by 1 having count(*) > 4)"),
    # words that the question defines
    ("A regular is a member with more than 4 bookings. How many regulars are there?", "select count(*) from (select 1 from booking group by member_id having count(*) > 4) as often"),
    ("Who are the top 2 coaches by takings? Note that takings refers to the sum of price in the booking table.", "select c.name from coach c join booking using (coach_id) group by c.coach_id, c.name order by sum(price) desc limit 2"),
    # one column more
    ("total price per year. Also calculate the YoY change for each year.", "select extract(year from booked_on), sum(price), sum(price) - lag(sum(price)) over (order by extract(year from booked_on)) from booking group by 1"),
    ("the name, the number of bookings and the rank by total price for each coach", "select c.name, count(*), sum(price), rank() over (order by sum(price) desc) from coach c join booking using (coach_id) group by c.coach_id, c.name"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "gold"), ANSWERS)
def test_it_is_answered(translator: Translator, studio: str, question: str, gold: str) -> None:
    found = translator.translate(question)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(studio) as conn:
        told, expected = conn.execute(found.sql.encode()), conn.execute(gold.encode())
        assert digest(told.fetchall()) == digest(expected.fetchall()), found.sql


@pytest.mark.parametrize(
    ("question", "evidence", "gold"),
    [
        ("What is the ABP per coach?", "ABP = Average Booking Price over a recent period", "select c.name, avg(price) from coach c join booking using (coach_id) group by c.coach_id, c.name"),
        ("What is the ABP per coach?", "join the tables To get it ABP (average booking price) = total price / number of bookings To sort, use NULLS LAST", "select c.name, avg(price) from coach c join booking using (coach_id) group by c.coach_id, c.name"),
        ("What is the TBC in 2024?", "Always join first.\nTBC = Total Booking Count.", "select count(*) from booking where extract(year from booked_on) = 2024"),
    ],
)  # fmt: skip
def test_abbreviations_are_told_among_other_things(
    translator: Translator, studio: str, question: str, evidence: str, gold: str
) -> None:
    found = translator.translate(question, evidence)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(studio) as conn:
        told, expected = conn.execute(found.sql.encode()), conn.execute(gold.encode())
        assert digest(told.fetchall()) == digest(expected.fetchall()), found.sql


def test_what_was_taken_for_what_is_told(translator: Translator) -> None:
    found = translator.translate("total revenue by country")
    assert "'total revenue' is read as 'total price of booking'" in found.assumptions


@pytest.mark.parametrize(
    "question",
    [
        "members who first left in 2024",
        "the share of members that were returning coaches",
        "average revenue",
        "average number of bookings per coach in 1999 to date",
    ],
)
def test_what_is_not_known_is_declined(translator: Translator, question: str) -> None:
    assert translator.translate(question).sql is None


def test_a_group_of_periods_behind_a_verb_is_no_agent(translator: Translator) -> None:
    found = translator.translate("percentage of bookings that were cancelled by month")
    best = found.candidates[0].sql
    assert "GROUP BY" in best
