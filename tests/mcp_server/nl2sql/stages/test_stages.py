"""Questions whose answer takes several steps."""

import datetime
from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.profile import profile
from mcp_server.nl2sql.stages.asking import in_steps
from mcp_server.nl2sql.stages.parts import Answered
from tests.mcp_server.nl2sql.conftest import filled

GALLERY = """
create table painter (
  painter_id int primary key, name text not null, style text not null,
  hourly_fee numeric(6, 2) not null, on_leave boolean not null);
create table guild (
  guild_id int primary key, guild_name text not null, founder_id int references painter);
create table guild_seat (
  guild_id int not null references guild, painter_id int not null references painter,
  grade int not null, primary key (guild_id, painter_id));
comment on column guild_seat.grade is '1 = apprentice, 2 = fellow, 3 = master';
create table patron (patron_id int primary key, name text not null, town text not null);
create table canvas (
  canvas_id int primary key, title text not null, painter_id int not null references painter,
  price numeric(8, 2) not null);
create table loan (
  loan_id int primary key, patron_id int not null references patron,
  canvas_id int not null references canvas, lent_on date not null, charge numeric(8, 2) not null);
create table review (
  review_id int primary key, loan_id int not null references loan, score int not null);
create table subsidy (
  subsidy_id int primary key, painter_id int not null references painter,
  amount numeric(8, 2) not null);
create table expense (
  expense_id int primary key, painter_id int not null references painter, spent_on date not null,
  amount numeric(8, 2) not null);
create table parcel (
  parcel_id int primary key, patron_id int not null references patron,
  packed_on date not null, delivered_on date not null);
create table pigment (pigment_id int primary key, name text not null, lead_limit numeric(6, 2));
comment on column pigment.lead_limit is 'Safe level, empty where there is none';
create table assay (
  assay_id int primary key, pigment_id int not null references pigment, lead_reading numeric(6, 2));
insert into pigment values (1, 'Ochre', 10), (2, 'Umber', null), (3, 'Smalt', 5);
insert into assay values (1, 1, 12), (2, 1, 8), (3, 1, 11), (4, 1, 9), (5, 2, 40), (6, 3, 1),
  (7, 3, 2), (8, 3, null);
insert into painter values
  (1, 'Ada', 'fresco', 40, false), (2, 'Bo', 'fresco', 60, false), (3, 'Cy', 'relief', 30, true),
  (4, 'Di', 'relief', 50, false);
insert into guild values (1, 'Saint Luke', 3), (2, 'River Gate', 4), (3, 'Old Mill', null);
insert into guild_seat values (1, 1, 3), (2, 1, 1), (1, 2, 1), (2, 2, 2), (3, 4, 2);
insert into patron values (1, 'Ede', 'Moss'), (2, 'Fay', 'Moss'), (3, 'Gil', 'Bryne'),
  (4, 'Hal', 'Bryne');
insert into canvas values (1, 'Dawn', 1, 100), (2, 'Noon', 1, 300), (3, 'Dusk', 2, 200),
  (4, 'Night', 4, 900);
insert into loan values
  (1, 1, 1, '2024-02-01', 10), (2, 1, 2, '2024-03-01', 20), (3, 1, 3, '2025-03-01', 5),
  (4, 2, 1, '2024-05-01', 10), (5, 2, 1, '2025-05-01', 10), (6, 2, 2, '2025-06-01', 40),
  (7, 3, 3, '2024-06-01', 90), (8, 3, 3, '2024-06-01', 15);
insert into review values (1, 1, 5), (2, 2, 4), (3, 4, 1), (4, 6, 2), (5, 7, 4);
insert into subsidy values (1, 1, 100), (2, 1, 100), (3, 2, 50), (4, 4, 400);
insert into expense values (1, 1, '2024-01-01', 150), (2, 2, '2024-01-01', 20),
  (3, 4, '2025-01-01', 100), (4, 4, '2025-02-01', 50), (5, 2, '2025-02-01', 25);
insert into parcel values
  (1, 1, '2024-01-01', '2025-01-02'), (2, 1, '2024-02-01', '2025-02-02'),
  (3, 2, '2024-12-30', '2024-12-31'), (4, 2, '2025-12-30', '2025-12-31'),
  (5, 2, '2025-12-30', '2025-12-31');
analyze;
"""


@pytest.fixture(scope="module")
def translator(module_dsn: str) -> Translator:
    return Translator(filled(module_dsn, GALLERY))


def of(*names: object) -> list[tuple[Any, ...]]:
    return [(name,) for name in names]


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # more in one period than in another
    ("Which patrons took more loans in 2025 than in 2024?", of("Fay")),
    ("Which patrons had fewer loans in 2025 than in 2024?", of("Ede", "Gil")),
    ("How many patrons took fewer loans in 2025 than in 2024?", of(2)),
    ("Which patrons had more loans in 2025 than the year before?", of("Fay")),
    ("Which patrons have a higher total charge in 2025 than in 2024?", of("Fay")),
    ("Which painters had at least twice as many expenses in 2025 as in 2024?", of("Di")),
    ("Which patrons in Moss had fewer loans in 2025 than in 2024?", of("Ede")),
    # in one and not in the other, or in both
    ("Which patrons took loans in 2024 but none in 2025?", of("Gil")),
    ("Which patrons had loans in 2024 but not in 2025?", of("Gil")),
    ("Which painters had expenses in 2025 but no longer in 2024?", of("Di")),
    ("Which patrons had loans in both 2024 and 2025?", of("Ede", "Fay")),
    ("Which patrons borrowed more often in 2024 than in 2025?", of("Ede", "Gil")),
    ("Patrons with loans in 2024 but none in 2025", of("Gil")),
    # by the date that is said
    ("Which patrons got more parcels in 2025 than in 2024, going by the date delivered?",
     of("Ede", "Fay")),
    ("Which patrons got more parcels in 2025 than in 2024, by date packed?", of("Fay")),
    # against the average of all, and of their own kind
    ("Which patrons have an average review score below the overall average?", of("Fay")),
    ("Which patrons took more loans than the average patron?", of("Ede", "Fay")),
    ("Patrons with more loans than the average patron", of("Ede", "Fay")),
    ("Which canvases were loaned more often than the average canvas?", of("Dawn", "Dusk")),
    ("Which painters have a total subsidy amount above the average painter?", of("Di")),
    ("Which painters cost more per hour than the average of their own style?", of("Bo", "Di")),
    ("Which painters cost less than 40 per hour?", of("Cy")),
    # of one kind against another
    ("Which painters have expenses of more than half of their total subsidies?", of("Ada", "Bo")),
    ("Which painters have total expenses below 50% of their total subsidies?", of("Di")),
    ("Which painters have more expenses than subsidies?", of("Bo", "Di")),
    ("Which painters have fewer expenses than subsidies?", of("Ada")),
    # two things that no one row shows
    ("Which patrons have borrowed Dawn but never borrowed Dusk?", of("Fay")),
    ("Which painters have both a subsidy and an expense?", of("Ada", "Bo", "Di")),
    ("Which painters have a canvas and also an expense?", of("Ada", "Bo", "Di")),
    ("Which guilds have a fellow seat and also an apprentice one?", of("River Gate")),
    ("Which painters have an expense but no seat in any guild?", []),
    ("Which painters are in more than one guild?", of("Ada", "Bo")),
    ("Which painters are in both the Saint Luke and the River Gate guild?", of("Ada", "Bo")),
    ("Which painters belong to more than one guild but have no master seat in any?", of("Bo")),
    # of each, the part that is above what it says itself
    ("For each pigment with a safe level, what percentage of readings is above that level?",
     [("Ochre", 50), ("Smalt", 0)]),
    ("What percentage of readings is below their safe level, for each pigment?",
     [("Ochre", 50), ("Smalt", 100)]),
    ("What percentage of assays have a lead reading above their lead limit, per pigment?",
     [("Ochre", 50), ("Smalt", 0)]),
    # averages of what each has
    ("What is the average number of loans per patron, among patrons that have at least one?",
     of(8 / 3)),
    ("What is the average number of loans per patron, excluding patrons without any loans?",
     of(8 / 3)),
    ("Among patrons with at least three loans, what is the average number of loans per patron?",
     of(3)),
    ("What is the average total of subsidies per painter?", of(650 / 3)),
    ("Among painters that were paid at least one subsidy, what is the average total of subsidies"
     " per painter?", of(650 / 3)),
    ("What is the average number of loans per day, counting only days with loans?", of(8 / 7)),
    ("What is the average number of loans per month in 2024, leaving out months without loans?",
     of(5 / 4)),
]  # fmt: skip


@pytest.mark.parametrize(("question", "rows"), ANSWERS)
def test_each_step_is_taken(
    translator: Translator, question: str, rows: list[tuple[Any, ...]]
) -> None:
    found = translator.translate(question)
    assert found.sql is not None, found.reason
    with psycopg.connect(str(translator.dsn)) as conn:
        got = conn.execute(found.sql).fetchall()
    assert sorted(_rounded(got)) == sorted(_rounded(rows)), found.sql


def _rounded(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [
        tuple(each if isinstance(each, str) else round(float(each), 6) for each in row)
        for row in rows
    ]


@pytest.mark.parametrize(
    "question",
    [
        # a word has no part in it
        "Which patrons took more rusty loans in 2025 than in 2024?",
        "Which patrons approved more loans in 2025 than in 2024?",
        "Patrons who borrowed purple canvases in 2024 but not in 2025",
        "Which patrons painted in 2024 but not in 2025?",
        # two dates, of which none is said, and no other
        "What is the average number of loans per patron, among patrons with at least one parcel?",
        "What is the average number of loans per patron, among patrons with one late loan or more?",
        "What is the average number of loans per patron, among patrons that were approved?",
        "For each pigment with a safe level, what percentage of readings is above that colour?",
        "For each pigment with a safe level, what percentage of late readings is above that level?",
        "Which painters have both a purple canvas and an expense?",
        "Which painters have a canvas but no purple expense?",
    ],
)
def test_what_has_a_word_left_over_is_declined(translator: Translator, question: str) -> None:
    found = translator.translate(question)
    assert found.sql is None, found.sql


@pytest.mark.parametrize(
    "question",
    [
        "Which patrons are linked to more than one loan?",
        "patrons with loans over 1",
        "How many loans were lent after 3?",
        "Which painters are assigned to more than 2 guilds?",
    ],
)
def test_a_number_that_is_no_year_is_never_compared_with_one(
    translator: Translator, question: str
) -> None:
    found = translator.translate(question)
    shown = [found.sql or "", *(each.sql for each in found.candidates)]
    assert not any("EXTRACT(year" in sql for sql in shown), shown


def test_a_connection_that_is_lost_over_a_part_is_no_mistake(translator: Translator) -> None:
    def lost(part: str) -> Answered:
        raise psycopg.OperationalError(f"gone at {part}")

    with psycopg.connect(str(translator.dsn), autocommit=True) as conn:
        known = profile(conn)
    question = "Which patrons took more loans in 2025 than in 2024?"
    with pytest.raises(psycopg.OperationalError):
        in_steps(question, Linker(known), JoinGraph(known), lost, datetime.date(2026, 1, 1))


@pytest.fixture(scope="module")
def numbered(module_dsn: str) -> Translator:
    """Rows whose numbers could be years."""
    content = """
    create table crate (
      crate_id int primary key, label text not null, sealed_on date not null,
      opened_on date not null);
    insert into crate select i, 'crate ' || i, date '2023-12-01' + i - 2000, date '2025-06-01'
      from generate_series(2000, 2060) i;
    analyze;
    """
    return Translator(filled(module_dsn, content))


def test_ids_in_the_range_of_years_are_no_years(numbered: Translator) -> None:
    found = numbered.translate("How many crates were sealed in 2024?")
    assert found.sql is not None
    assert "sealed_on" in found.sql
    shown = numbered.translate("How many crates in 2024?")
    assert "crate_id" not in (shown.sql or "")
