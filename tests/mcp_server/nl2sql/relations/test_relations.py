"""Questions that say how rows stand to others, of their own table or over several."""

from typing import Any

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

WORKSHOP = """
create table depot (depot_id int primary key, name text not null unique, town text);
create table worker (
  worker_id int primary key, name text not null, town text, born date,
  depot_id int references depot, manager_id int references worker,
  taught_by int references worker);
create table machine (
  machine_id int primary key, name text not null, maker text, bought_by int references worker);
create table part_of (
  assembly_id int references machine, piece_id int references machine, pieces int,
  primary key (assembly_id, piece_id));
create table run (
  run_id int primary key, source_depot_id int not null references depot,
  target_depot_id int not null references depot, driver_id int not null references worker,
  crates int);
create table permit (
  worker_id int references worker, machine_id int references machine,
  primary key (worker_id, machine_id));
create table county (county text primary key, people int);
create table nearby (county text, neighbour text);
create table stream (stream_name text, reach int, passes text references depot (name));
insert into depot values (1, 'Alder', 'Hamar'), (2, 'Birch', 'Hamar'), (3, 'Cedar', 'Moss'),
  (4, 'Elm', 'Bryne');
insert into worker values
  (1, 'Ada', 'Hamar', '1970-01-01', 1, null, null), (2, 'Bodil', 'Moss', '1980-01-01', 1, 1, 1),
  (3, 'Cyrus', 'Hamar', '1990-01-01', 2, 2, 1), (4, 'Diana', 'Hamar', '1975-01-01', 2, 3, 2),
  (5, 'Edgar', 'Bryne', '1999-01-01', 3, 3, 4);
insert into machine values (1, 'Press', 'Kongs', 1), (2, 'Frame', 'Kongs', 2),
  (3, 'Bolt', 'Lund', 2), (4, 'Saw', 'Lund', 1);
insert into part_of values (1, 2, 1), (2, 3, 8), (1, 3, 2);
insert into run values (1, 1, 2, 2, 10), (2, 1, 3, 2, 20), (3, 2, 1, 3, 5), (4, 3, 2, 5, 7);
insert into permit values (2, 1), (2, 4), (3, 1), (4, 4);
insert into county values ('Alvdal', 10), ('Birken', 20), ('Cedra', 30), ('Elver', 40);
insert into nearby values ('Alvdal', 'Birken'), ('Birken', 'Alvdal'), ('Birken', 'Cedra'),
  ('Cedra', 'Birken'), ('Cedra', 'Elver'), ('Elver', 'Cedra');
insert into stream values ('Glomma', 600, 'Alder'), ('Glomma', 600, 'Birch'),
  ('Lagen', 200, 'Birch'), ('Otra', 240, 'Elm');
analyze;
"""


@pytest.fixture(scope="module")
def workshop(module_dsn: str) -> str:
    return filled(module_dsn, WORKSHOP)


@pytest.fixture(scope="module")
def translator(workshop: str) -> Translator:
    return Translator(workshop)


def of(*names: object) -> list[tuple[Any, ...]]:
    return [(name,) for name in names]


ANSWERS: list[tuple[str, list[tuple[Any, ...]]]] = [
    # rows of a table that refer to others of it, over several hops
    ("Who is the manager of Diana's manager?", of("Bodil")),
    ("Who is the manager of the manager of Diana?", of("Bodil")),
    ("Which workers report to Bodil, directly or indirectly?", of("Cyrus", "Diana", "Edgar")),
    ("Name all workers who were taught directly or indirectly by Bodil.", of("Diana", "Edgar")),
    ("Which workers do not manage anyone?", of("Diana", "Edgar")),
    ("Which workers manage nobody?", of("Diana", "Edgar")),
    ("How many direct reports does each manager have?", [("Ada", 1), ("Bodil", 1), ("Cyrus", 2)]),
    ("Who taught Diana?", of("Bodil")),
    ("Which workers did Ada teach?", of("Bodil", "Cyrus")),
    # a table that puts two rows of another together
    ("Which machines are used in the Press?", of("Frame", "Bolt")),
    ("Which machines are not used in any assembly?", of("Press", "Saw")),
    ("Which depots never appear as a source?", of("Elm")),
    ("Which counties neighbour counties that neighbour Alvdal?", of("Alvdal", "Cedra")),
    ("Which counties neighbour the county with the most people?", of("Cedra")),
    # rows that are like others
    ("Which workers live in the same town as Cyrus?", of("Ada", "Diana")),
    ("Find pairs of workers in the same town.",
     [("Ada", "Cyrus"), ("Ada", "Diana"), ("Cyrus", "Diana")]),
    ("Which workers work in the same depot as their manager?", of("Bodil", "Diana")),
    ("Which workers live in the town of their depot?", of("Ada", "Cyrus", "Diana")),
    ("Which workers are older than Bodil?", of("Ada", "Diana")),
    # several keys to one table, several tables
    ("How many runs went from Alder to Birch?", of(1)),
    ("Show every worker with the name of their manager.",
     [("Ada", None), ("Bodil", "Ada"), ("Cyrus", "Bodil"), ("Diana", "Cyrus"), ("Edgar", "Cyrus")]),
    ("Which workers have permits for both the Press and the Saw?", of("Bodil")),
    ("Which workers have permits for the Saw but not for the Press?", of("Diana")),
    ("Which machines were bought by workers who live in Moss?", of("Frame", "Bolt")),
    # a thing of several rows: what is denied is so of all of them
    ("Which streams do not pass Birch?", of("Otra")),
]  # fmt: skip


@pytest.mark.parametrize(("question", "found"), ANSWERS, ids=[question for question, _ in ANSWERS])
def test_a_relation_is_in_the_query(
    question: str, found: list[tuple[Any, ...]], translator: Translator, workshop: str
) -> None:
    answer = translator.translate(question)
    assert answer.sql is not None, answer.reason
    with psycopg.connect(workshop) as conn:
        rows = conn.execute(answer.sql.encode()).fetchall()
    assert sorted(map(str, rows)) == sorted(map(str, found)), answer.sql
