"""A database full of traps, and what reads it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cluster_runtime.engine.access.roles import READER

FOLDER = Path(__file__).parent


def lines_of(name: str) -> list[str]:
    """The statements of a file, one a line after its title."""
    return (FOLDER / name).read_text(encoding="utf-8").splitlines()[1:]


def script(name: str) -> list[str]:
    """The statements of a file, each ended by a semicolon at the end of its line."""
    return (FOLDER / name).read_text(encoding="utf-8").split(";\n")


@pytest.fixture(scope="module")
def trapped(module_dsn: str) -> Iterator[str]:
    """A database with everything in traps.sql, as its owner. No test changes it."""
    with psycopg.connect(module_dsn, autocommit=True) as conn:
        for statement in script("traps.sql"):
            conn.execute(statement.encode())
        yield module_dsn
        conn.execute("drop owned by stranger cascade")
        conn.execute("revoke stranger from current_user; drop role stranger")


@pytest.fixture(scope="module")
def reader_dsn(trapped: str) -> str:
    """The same for the read-only role."""
    return make_conninfo(trapped, user=READER)
