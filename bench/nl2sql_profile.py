"""How long the profile of a large database takes: 100 tables, 1 GB.

    python bench/nl2sql_profile.py [--dsn CONNINFO] [--tables 100] [--megabytes 1000]

What must hold: at most 10 s. The peer is `ANALYZE` of the same database, in the same run. Without
--dsn a local cluster is made for the run.
"""

import argparse
import statistics
import time

import psycopg
from nl2sql import server
from psycopg import sql
from psycopg.conninfo import make_conninfo
from report import show, write_json

from mcp_server.nl2sql.schema.profile import profile

NAME = "nl2sql_profile"
TIMES = 3
ROW_BYTES = 216  # a row as it is stored, with its header
TABLE = """
create table {name} as
select i as {key}, i % 1000 as parent_id, 'name ' || i % 5000 as name, 'city ' || i % 300 as city,
       date '2000-01-01' + i % 8000 as since, i % 977 + 0.5 as price, repeat('x', 120) as note
from generate_series(1, {rows}) i
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--dsn")
    arguments.add_argument("--tables", type=int, default=100)
    arguments.add_argument("--megabytes", type=int, default=1000)
    options = arguments.parse_args()
    rows = options.megabytes * 1_000_000 // options.tables // ROW_BYTES
    with server(options.dsn) as dsn:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(NAME)))
        try:
            figures = measure(make_conninfo(dsn, dbname=NAME), options.tables, rows)
        finally:
            with psycopg.connect(dsn, autocommit=True) as admin:
                admin.execute(sql.SQL("drop database {}").format(sql.Identifier(NAME)))
    show("the profile of a database", list(figures), [list(figures.values())])
    write_json("nl2sql_profile", figures)


def measure(target: str, tables: int, rows: int) -> dict[str, float]:
    with psycopg.connect(target, autocommit=True) as conn:
        for number in range(tables):
            name = sql.Identifier(f"thing_{number}")
            key = sql.Identifier(f"thing_{number}_id")
            made = sql.SQL(TABLE).format(name=name, key=key, rows=sql.Literal(rows))
            conn.execute(made)
            conn.execute(sql.SQL("alter table {} add primary key ({})").format(name, key))
        (size,) = conn.execute("select pg_database_size(current_database())").fetchone() or (0,)
        took = []
        for _ in range(TIMES):  # the first on tables that were never analysed
            began = time.perf_counter()
            profile(conn)
            took.append(time.perf_counter() - began)
        began = time.perf_counter()
        conn.execute("analyze")
        analysed = time.perf_counter() - began
    return {
        "tables": tables,
        "megabytes": size / 1e6,
        "profile_s": statistics.median(took),
        "analyze_s": analysed,
        "profile_over_analyze": statistics.median(took) / analysed,
    }


if __name__ == "__main__":
    main()
