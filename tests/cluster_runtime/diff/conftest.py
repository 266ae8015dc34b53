"""Pairs of databases to compare, in the server of the test worker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cluster_runtime.diff.session import DatabaseAddress, Reading, reading
from tests.conftest import database

Pair = tuple[str, str]

EMPTY = """
do $$ declare each name; begin
    execute format('alter database %I reset all', current_database());
    for each in select nspname from pg_namespace
                 where nspname !~ '^pg_' and nspname <> 'information_schema' loop
        execute format('drop schema %I cascade', each);
    end loop;
end $$;
create schema public;
create extension vector schema public;
"""


def address_of(dsn: str, label: str = "a database") -> DatabaseAddress:
    parts = conninfo_to_dict(dsn)
    with psycopg.connect(dsn) as conn:
        major = conn.info.server_version // 10_000
    return DatabaseAddress(
        label, Path(str(parts["host"])), major, str(parts["user"]), str(parts["dbname"])
    )


@contextmanager
def both(pair: Pair) -> Iterator[tuple[Reading, Reading]]:
    """A reading session in each."""
    with reading(address_of(pair[0])) as source, reading(address_of(pair[1])) as target:
        yield source, target


@pytest.fixture(scope="session")
def used_pair(server_dsn: str) -> Iterator[Pair]:
    with database(server_dsn) as source, database(server_dsn) as target:
        yield source, target


@pytest.fixture
def pair(used_pair: Pair) -> Iterator[Pair]:
    """Conninfo of two databases that hold nothing; emptied again afterwards."""
    yield used_pair
    for dsn in used_pair:
        run(dsn, EMPTY)


@pytest.fixture(scope="session")
def lasting_pair(server_dsn: str) -> Iterator[Pair]:
    """The same, for tests that each have a schema of their own."""
    with database(server_dsn) as source, database(server_dsn) as target:
        yield source, target


def run(dsn: str, script: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(script)  # type: ignore[arg-type]
