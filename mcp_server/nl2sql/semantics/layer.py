"""The semantic layer of one database, as a user works with it: show, check, set, suggest, remove.

    layer = SemanticLayer("postgresql://...")
    layer.set(layer.suggest())

What was accepted as right (`solved.py`) is taught and taken back here as well.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TypeVar

import psycopg

from mcp_server.nl2sql import solved
from mcp_server.nl2sql.database.connecting import Dsn, connect_to_read, conninfo
from mcp_server.nl2sql.database.steps import Steps, run
from mcp_server.nl2sql.schema.profile import profile
from mcp_server.nl2sql.semantics import document, keeping
from mcp_server.nl2sql.semantics.applying import checked
from mcp_server.nl2sql.semantics.suggesting import suggested

T = TypeVar("T")
PINNED = "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)"


class SemanticLayer:
    """What is said of one database, kept in it.

    dsn: of a role that may create a schema, or what gives one. reading: of one that may only read,
    by which it is looked at; the same unless given.
    """

    def __init__(self, dsn: Dsn, reading: Dsn | None = None) -> None:
        self._writing = dsn
        self._reading = reading or dsn

    def show(self) -> str:
        """The document as it was set, with its comments; empty where there is none."""
        return self._read(keeping.kept())

    def check(self, text: str) -> None:
        """Raises SemanticsError with every mistake of a document, the nearest names beside them."""
        found = document.read(text)
        with connect_to_read(self._reading) as conn:
            run(conn, keeping.judged(checked(found, profile(conn))))

    def set(self, text: str) -> None:
        """Keep a document in the place of the last one, if it has no mistake.

        Raises SemanticsError, and then the last one stays; NL2SQLError where the role may not.
        """
        self.check(text)
        self._write(keeping.keep(text))

    def remove(self) -> None:
        """Remove the document."""
        self._write(keeping.remove())

    def suggest(self) -> str:
        """A document to begin with, from the schema, its data and what was accepted."""
        with connect_to_read(self._reading) as conn:
            return suggested(profile(conn), run(conn, solved.every()))

    def teach(self, question: str, sql: str) -> None:
        """Keep a question with the SQL that is right for it; the next like it is answered so.

        Raises RefusedError for SQL that is no read, NL2SQLError where another role made the table.
        """
        self._write(solved.in_own_table(solved.accept(question, sql), make=True))

    def taught(self) -> Sequence[tuple[str, str]]:
        """The questions that were taught, values cut out, each with its SQL; the newest first."""
        return self._read(solved.every())

    def forget(self, question: str) -> bool:
        """Take back what was taught for a question, as `taught` has it; False where nothing was.

        Raises NL2SQLError where another role made the table.
        """
        with suppress(solved.LearningDisabledError):
            return self._write(solved.in_own_table(solved.forgotten(question)))
        return False

    def _read(self, steps: Steps[T]) -> T:
        with connect_to_read(self._reading) as conn:
            return run(conn, steps)

    def _write(self, steps: Steps[T]) -> T:
        """Take steps in a session where no name that others give comes before PostgreSQL's."""
        where = conninfo(self._writing)
        with psycopg.connect(where, autocommit=True, prepare_threshold=None) as conn:
            conn.execute(PINNED)
            return run(conn, steps)
