"""How much CPU a question takes without a model, in a database of 20 tables and in one of 300.

    python bench/nl2sql_cpu.py [--dsn CONNINFO] [--tables 20,300]

What must hold: a median of `ask` of at most 50 ms of CPU on 20 tables and 150 ms on 300, of this
process; PostgreSQL's own is not in it. Every question is about another table, or about two. The
peer is the same process when it runs the SQL of the answer alone. Without --dsn a local cluster is
made for the run.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from itertools import islice, product

import psycopg
from nl2sql import server
from psycopg import sql
from psycopg.conninfo import make_conninfo
from report import console, show, write_json

from mcp_server.nl2sql.asker import Asker

MUST_MS = {20: 50.0, 300: 150.0}
QUESTIONS = 60
_NOUNS = """
    customer order invoice product supplier driver route depot ticket visit patient doctor ward
    lesson teacher pupil exam course loan account branch policy claim garage repair part
    vehicle hotel guest booking room flight airport crew cargo ship port crane permit sensor
    reading site farm field crop harvest buyer auction bid artist song album concert venue
    player team match stadium coach season grant
"""
NOUNS = _NOUNS.split()
QUALIFIERS = ("retail", "export", "school", "city", "night")
TABLE = """
create table {name} ({key} int primary key, {parent} int references {other}, name text not null,
  city text not null, opened_on date not null, price numeric(9, 2) not null, is_active boolean);
insert into {name}
select i, i, 'name ' || i, (array['Oslo', 'Hamar', 'Moss', 'Bergen'])[1 + i % 4],
       date '2023-01-01' + i * 7, 10 + i % 97, i % 3 = 0 from generate_series(1, 200) i
"""
ASKED = (
    "How many {one}s are there?",
    "List the names of {one}s in Oslo",
    "What is the average price of {one}s per city?",
    "Which {one} has the highest price?",
    "How many {one}s opened in 2024?",
    "names of {one}s with the name of their {other}",
    "Show the 5 most expensive {one}s in Hamar that are active",
    "total price of {one}s for each {other}",
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--dsn")
    arguments.add_argument("--tables", default="20,300")
    options = arguments.parse_args()
    figures: dict[str, dict[str, float]] = {}
    with server(options.dsn) as dsn:
        for tables in map(int, options.tables.split(",")):
            name = f"nl2sql_cpu_{tables}"
            with psycopg.connect(dsn, autocommit=True) as admin:
                admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            figures[str(tables)] = measure(make_conninfo(dsn, dbname=name), tables)
    lines = [[number, *found.values()] for number, found in figures.items()]
    show("CPU of a question", ["tables", *next(iter(figures.values()))], lines)
    missed = [n for n, found in figures.items() if found["p50_ms"] > MUST_MS.get(int(n), 1e9)]
    console.print(f"must hold: {'missed with ' + ', '.join(missed) if missed else 'holds'}")
    write_json("nl2sql_cpu", figures)


def measure(target: str, tables: int) -> dict[str, float]:
    names = [f"{q}_{noun}" for q, noun in islice(product(QUALIFIERS, NOUNS), tables)]
    fill(target, names)
    took, peer, answered = [], [], 0
    asker = Asker(target)
    with psycopg.connect(target, autocommit=True) as conn:
        asker.ask("how many rows")  # profiles
        for question in questions(names):
            began = time.process_time()
            answer = asker.ask(question)
            took.append((time.process_time() - began) * 1000)
            if answer.sql is not None:
                answered += 1
                began = time.process_time()
                conn.execute(answer.sql.encode()).fetchall()
                peer.append((time.process_time() - began) * 1000)
    return {
        "questions": len(took),
        "answered": answered,
        "p50_ms": statistics.median(took),
        "p95_ms": statistics.quantiles(took, n=20)[-1],
        "sql_alone_p50_ms": statistics.median(peer),
    }


def fill(target: str, names: list[str]) -> None:
    """A table for each name, whose rows each refer to one of the table before."""
    with psycopg.connect(target, autocommit=True) as conn:
        for place, name in enumerate(names):
            other = names[max(0, place - 1)]
            made = sql.SQL(TABLE).format(
                name=sql.Identifier(name),
                key=sql.Identifier(f"{name}_id"),
                parent=sql.Identifier(f"parent_{other}_id" if place == 0 else f"{other}_id"),
                other=sql.Identifier(other),
            )
            conn.execute(made)
        conn.execute("analyze")


def questions(names: list[str]) -> Iterator[str]:
    said = [name.replace("_", " ") for name in names]
    for number in range(QUESTIONS):
        place = 1 + number * 7 % (len(said) - 1)
        form = ASKED[number % len(ASKED)]
        yield form.format(one=said[place], other=said[place - 1])


if __name__ == "__main__":
    main()
