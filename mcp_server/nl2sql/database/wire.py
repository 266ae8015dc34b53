"""What psycopg's cursors cannot do: have a statement analysed apart from running it, hear the query
trees that the server prints meanwhile, and stop a result at a limit. Written as psycopg writes its
own protocol code: generators that a sync or an async connection waits for.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import psycopg
from psycopg import capabilities, generators, pq
from psycopg.abc import PQGen, Transformer
from psycopg.errors import Diagnostic, error_from_result
from psycopg.pq.abc import PGconn, PGresult

Field: TypeAlias = tuple[str, int, int]
"""Name, type oid and modifier of a column."""

TextRow: TypeAlias = list[str | None]

ROWS_AT_A_TIME = 64
ENCODING = "utf-8"


@contextmanager
def printed_trees(
    conn: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
) -> "Iterator[Trees]":
    """Collect the query trees that the server prints on a connection."""
    trees = Trees()
    conn.add_notice_handler(trees.hear)
    try:
        yield trees
    finally:
        conn.remove_notice_handler(trees.hear)


@dataclass(slots=True)
class Trees:
    """Texts of trees that nobody has taken yet."""

    heard: list[str] = field(default_factory=list)

    def hear(self, notice: Diagnostic) -> None:
        """Keep a notice that is a tree. RAISE LOG can say the same, but not as this function."""
        if (
            notice.source_function == "elog_node_display"
            and notice.message_primary == "rewritten parse tree:"
        ):
            self.heard.append(notice.message_detail or "")

    def take(self) -> tuple[str, ...]:
        """The trees that were heard since the last time."""
        taken, self.heard = tuple(self.heard), []
        return taken


def prepare(pgconn: PGconn, name: str, sql: str) -> PQGen[None]:
    """Have `sql` analysed as the prepared statement `name`. Raises psycopg.Error."""
    pgconn.send_prepare(name.encode(), sql.encode())
    for result in (yield from generators.execute(pgconn)):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding=ENCODING)


def prepare_after(
    pgconn: PGconn, before: Sequence[str], name: str, sql: str, adapter: Transformer
) -> PQGen[list[tuple[Any, ...]]]:
    """Run statements and have `sql` analysed as `prepare` does, in one round trip.

    The first that fails ends all that comes after it. The rows of the last of the statements that
    has any. Raises psycopg.Error.
    """
    pgconn.enter_pipeline_mode()
    for statement in before:
        pgconn.send_query_params(statement.encode(), None)
    pgconn.send_prepare(name.encode(), sql.encode())
    pgconn.pipeline_sync()
    yield from generators.send(pgconn)
    results: list[PGresult] = []
    for _ in (*before, sql, "the end of all"):
        results += yield from generators.fetch_many(pgconn)
    pgconn.exit_pipeline_mode()
    return _last_rows(results, adapter)


def script(pgconn: PGconn, sql: str, adapter: Transformer) -> PQGen[list[tuple[Any, ...]]]:
    """Run several statements at once; the rows of the last one that has any. Raises psycopg.Error.

    A cursor would look at the columns of each of them.
    """
    pgconn.send_query(sql.encode())
    return _last_rows((yield from generators.execute(pgconn)), adapter)


def _last_rows(results: Sequence[PGresult], adapter: Transformer) -> list[tuple[Any, ...]]:
    last: PGresult | None = None
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding=ENCODING)
        if result.nfields:
            last = result
    if last is None:
        return []
    adapter.set_pgresult(last)
    return adapter.load_rows(0, last.ntuples, tuple)


def some_rows_at_a_time(pgconn: PGconn) -> None:
    """Have the rows of the query just sent come in parts: a large one is never in memory whole."""
    if capabilities.has_stream_chunked():
        pgconn.set_chunked_rows_mode(ROWS_AT_A_TIME)
    else:  # a psycopg that was built against libpq before 17
        pgconn.set_single_row_mode()


def stream(pgconn: PGconn, sql: str, prepared: bool, taken: "Taken") -> PQGen[None]:
    """Run `sql`, or the prepared statement of that name, until it ends or `taken` is full.

    Then more may come. Raises psycopg.Error.
    """
    if prepared:
        pgconn.send_query_prepared(sql.encode(), None)
    else:
        pgconn.send_query_params(sql.encode(), None)
    some_rows_at_a_time(pgconn)
    yield from generators.send(pgconn)
    while (result := (yield from generators.fetch(pgconn))) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            yield from drain(pgconn)
            raise error_from_result(result, encoding=ENCODING)
        taken.add(result)
        if taken.truncated:
            return


def drain(pgconn: PGconn) -> PQGen[None]:
    """Read what is left of a query that failed or was cancelled, so that another can be sent."""
    while (yield from generators.fetch(pgconn)) is not None:
        pass


class Taken:
    """Rows up to the limits as the text that came and, with an adapter, as Python values."""

    def __init__(
        self,
        adapter: Transformer | None,
        most_rows: int,
        most_bytes: int,
        cell: int | None = None,
    ) -> None:
        self.fields: tuple[Field, ...] = ()
        self.rows: list[tuple[Any, ...]] = []
        self.texts: list[TextRow] = []
        self.truncated = False
        self._bytes = 0
        self._started = time.perf_counter()
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._cell = most_bytes + 1 if cell is None else cell
        self._adapter = adapter

    @property
    def seconds(self) -> float:
        """Since the query was about to be sent."""
        return time.perf_counter() - self._started

    def add(self, result: PGresult) -> None:
        """Take the rows of one result in, as far as the limits go."""
        if not self.fields:
            self.fields = fields(result)
        texts = list(text_rows(result))
        whole = len(texts)
        for number, row in enumerate(texts):
            self._bytes += sum(min(len(value), self._cell) for value in row if value is not None)
            full = len(self.texts) + number >= self._most_rows
            if full or (self._bytes > self._most_bytes and (self.texts or number)):
                self.truncated, whole = True, number
                break
        self.texts += texts[:whole]
        if self._adapter is not None:
            self._adapter.set_pgresult(result)
            self.rows += self._adapter.load_rows(0, whole, tuple)


def fields(result: PGresult) -> tuple[Field, ...]:
    """The columns of a result."""
    return tuple(
        ((result.fname(i) or b"").decode(ENCODING), result.ftype(i), result.fmod(i))
        for i in range(result.nfields)
    )


def text_rows(result: PGresult) -> Iterator[TextRow]:
    """The rows of a result as the text that the server sent."""
    for row in range(result.ntuples):
        yield [
            None if raw is None else bytes(raw).decode(ENCODING, "replace")
            for raw in (result.get_value(row, column) for column in range(result.nfields))
        ]
