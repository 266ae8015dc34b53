# ruff: noqa: E501 -- a question reads best beside its SQL
"""What is shown of rows: names and not the keys that tell them apart; and one date per question."""

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.database.digest import digest
from tests.mcp_server.nl2sql.conftest import filled

QUARRY = """
create table worker (worker_code text primary key, worker_name text not null, boss_code text,
  crew_code text not null, hired_on date not null, is_licensed boolean not null);
create table crew (crew_code text primary key, crew_name text not null, site text not null);
create table machine (machine_code text primary key, machine_name text not null, target_idle_minutes int not null);
create table worker_machine (worker_code text not null, machine_code text not null, grade int not null,
  primary key (worker_code, machine_code));
create table shift (shift_no int primary key, worker_code text not null, machine_code text not null,
  started_on date not null, idle_minutes int not null, dig_minutes int not null, rslt_cd text not null);
comment on column worker_machine.grade is '1 = novice, 2 = able, 3 = master';
insert into crew values ('C1', 'North', 'Ridge'), ('C2', 'South', 'Basin');
insert into worker select 'W' || i, (array['Ola Berg','Per Dahl','Siv Eng','Tor Fosse','Una Grind','Vidar Holm'])[i],
  case when i > 2 then 'W' || 1 + i % 2 end, 'C' || 1 + i % 2, date '2015-01-01' + i * 300, i % 3 > 0 from generate_series(1, 6) i;
insert into machine select 'M' || i, (array['Drill','Loader','Crusher','Conveyor'])[i], 10 * i from generate_series(1, 4) i;
insert into worker_machine select 'W' || w, 'M' || m, 1 + (w + m) % 3 from generate_series(1, 6) w, generate_series(1, 4) m where (w + m) % 4 > 0;
insert into shift select i, 'W' || 1 + (i * i) % 6, 'M' || 1 + (i * i + i / 3) % 4, date '2024-11-01' + i * 9, (i * 7) % 40, 100 + (i * 13) % 90, (array['OK','ST'])[1 + i % 2] from generate_series(1, 48) i;
analyze;
"""
YARD = """
create table person (person_id int primary key, full_name text not null, calling text not null, mentor_id int references person);
create table bin (bin_id int primary key, label text not null, kind text not null, volume int not null);
create table build (build_id int primary key, title text not null, lead_hand_id int not null references person,
  painter_id int references person, ordered_on date not null, launched_on date, price int not null, stage text not null);
insert into person select i, (array['Ann','Ben','Cid','Dot','Eve','Flo'])[i], (array['lead hand','painter','rigger'])[1 + i % 3],
  case when i > 2 then 1 + i % 2 end from generate_series(1, 6) i;
insert into bin select i, 'bin ' || i, (array['skip','barrel'])[1 + i % 2], 40 + i * 5 from generate_series(1, 10) i;
insert into build select i, 'boat ' || i, 1 + (i * i) % 5, 1 + i % 6, date '2024-01-10' + i * 20, case when i % 5 > 0 then date '2024-09-10' + i * 25 end,
  100 + i, (array['done','open'])[1 + i % 2] from generate_series(1, 40) i;
analyze;
"""


@pytest.fixture(scope="module")
def quarry(module_dsn: str) -> str:
    return filled(module_dsn, f"{QUARRY}{YARD}")


@pytest.fixture(scope="module")
def translator(quarry: str) -> Translator:
    return Translator(quarry)


SHIFTS = "shift s join worker w using (worker_code)"
ANSWERS = [
    # a role is of a row of the same table, in a schema without any keys to others
    ("who is the boss of Tor Fosse", "select b.worker_name from worker w join worker b on b.worker_code = w.boss_code where w.worker_name = 'Tor Fosse'"),
    ("what is Una Grind's boss", "select b.worker_name from worker w join worker b on b.worker_code = w.boss_code where w.worker_name = 'Una Grind'"),
    ("workers per boss", "select b.worker_name, count(*) from worker w join worker b on b.worker_code = w.boss_code group by b.worker_code, b.worker_name"),
    ("what is the boss code of Tor Fosse", "select boss_code from worker where worker_name = 'Tor Fosse'"),
    # texts that are keys are shown by what their rows are called
    ("shifts per worker", f"select worker_name, count(*) from {SHIFTS} group by worker_code, worker_name"),
    ("shifts per worker in 2025", f"select worker_name, count(*) from {SHIFTS} where extract(year from started_on) = 2025 group by worker_code, worker_name"),
    ("top 2 workers by total dig time", f"select worker_name from {SHIFTS} group by worker_code, worker_name order by sum(dig_minutes) desc limit 2"),
    ("top 2 machines by average idle time", "select machine_name from shift join machine using (machine_code) group by machine_code, machine_name order by avg(idle_minutes) desc limit 2"),
    ("Who are the masters for the crusher?", "select worker_name from worker join worker_machine using (worker_code) join machine using (machine_code) where grade = 3 and machine_name = 'Crusher'"),
    # by the names of those in a role, which are values as well
    ("builds per lead hand", "select full_name, count(*) from build join person on person_id = lead_hand_id group by person_id, full_name"),
    ("number of builds by painter", "select full_name, count(*) from build join person on person_id = painter_id group by person_id, full_name"),
    ("average price by lead hand", "select full_name, avg(price) from build join person on person_id = lead_hand_id group by person_id, full_name"),
    ("how many riggers are there", "select count(*) from person where calling = 'rigger'"),
    ("list builds with their lead hands", "select title, full_name from build join person on person_id = lead_hand_id"),
    # what rows are chosen by is not what is shown of them
    ("skips volume over 60", "select label from bin where kind = 'skip' and volume > 60"),
    ("bins volume under 55", "select label from bin where volume < 55"),
    # of two dates, the one that is named, both for the month and for the year
    ("How many builds did we launch per month in 2025?", "select date_trunc('month', launched_on), count(*) from build where extract(year from launched_on) = 2025 group by 1"),
    ("builds ordered per quarter in 2025", "select date_trunc('quarter', ordered_on), count(*) from build where extract(year from ordered_on) = 2025 group by 1"),
    ("builds launched in 2025 by month", "select date_trunc('month', launched_on), count(*) from build where extract(year from launched_on) = 2025 group by 1"),
    ("builds launched per month that were ordered in 2024", "select date_trunc('month', launched_on), count(*) from build where extract(year from ordered_on) = 2024 and launched_on is not null group by 1"),
    # of both at once
    ("shifts 2025 by machine code and result", "select machine_code, rslt_cd, count(*) from shift where extract(year from started_on) = 2025 group by 1, 2"),
    ("builds by year and stage", "select extract(year from ordered_on), stage, count(*) from build group by 1, 2"),
    ("builds by stage and price", "select stage, price, count(*) from build group by 1, 2"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "gold"), ANSWERS)
def test_it_is_answered(translator: Translator, quarry: str, question: str, gold: str) -> None:
    found = translator.translate(question)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(quarry) as conn:
        told, expected = conn.execute(found.sql.encode()), conn.execute(gold.encode())
        assert digest(told.fetchall()) == digest(expected.fetchall()), found.sql


def test_who_is_so_is_asked_for_by_name(translator: Translator) -> None:
    found = translator.translate("who is licensed at Ridge")
    best = found.sql or found.candidates[0].sql
    assert "worker_name" in best
    assert "is_licensed = TRUE" in best
