"""The built-in translator: questions in English to SQL, without a model.

    Translator("postgresql://...").translate("how many customers are from Paris")

It reads the database's profile once, and again when its tables change.
"""

import contextlib
import datetime
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psycopg

from mcp_server.nl2sql.choosing.candidates import Made, candidates, judge
from mcp_server.nl2sql.choosing.declining import not_sure, nothing_made
from mcp_server.nl2sql.choosing.results import SAMPLE_ROWS, Result
from mcp_server.nl2sql.database.connecting import Dsn, connect_to_read, conninfo
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.database.steps import run
from mcp_server.nl2sql.database.stopping import AbandonedError, StoppableConnection
from mcp_server.nl2sql.errors import QueryTimeoutError, RefusedError
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.mending.mend import Mended, mends
from mcp_server.nl2sql.model.facts import Facts, facts
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.profile import profile
from mcp_server.nl2sql.sql.assumptions import assumptions
from mcp_server.nl2sql.sql.paraphrase import reading
from mcp_server.nl2sql.translation import Candidate, Link, Translation
from mcp_server.nl2sql.words.evidence import worked_in
from mcp_server.nl2sql.words.tokens import tokenize

T = TypeVar("T")

THRESHOLD = 0.62
"""Below this confidence a question is declined."""

TRIED = 14
SHOWN = 3
TRY_SECONDS = 0.5
IDLE_SECONDS = 2.0
"""How long the connection is kept unused; an open one would keep a cluster from pausing."""

PROBE = Reader("", limits=Limits(rows=SAMPLE_ROWS, cost=math.inf, timeout=TRY_SECONDS))
"""The steps of a candidate; the connection is the translator's own."""

SCHEMA_VERSION = """
select pg_catalog.sum(a.xmin::pg_catalog.text::pg_catalog.int8), pg_catalog.count(*),
       pg_catalog.sum(distinct c.reltuples),
       (select pg_catalog.count(*) from pg_catalog.pg_constraint k
        where k.oid operator(pg_catalog.>=) 16384::pg_catalog.oid)
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid operator(pg_catalog.=) a.attrelid
where a.attrelid operator(pg_catalog.>=) 16384::pg_catalog.oid
  and c.relpersistence operator(pg_catalog.<>) 't'::pg_catalog."char"
  and c.relkind operator(pg_catalog.=) any ('{r,p,v,m,f}'::pg_catalog."char"[])
"""
"""Any change of a column's definition writes new rows there; ANALYZE sets what tables hold."""


class Translator:
    """Translates questions about one database; safe to call from several threads.

    dsn: libpq connection string of a role that may read, or what gives one for each new connection
    (a cluster's holds a token of 15 minutes). Any PostgreSQL from 16 on will do: nothing is made in
    it, and nothing runs outside a READ ONLY transaction but a look at `pg_catalog`.

    One connection serves all questions; it is closed when none has come for IDLE_SECONDS, and made
    again when it is lost.
    """

    def __init__(self, dsn: Dsn) -> None:
        self.dsn = dsn
        self._lock = threading.Lock()
        self._known: tuple[Any, Linker, JoinGraph] | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self._idle: threading.Timer | None = None

    def translate(
        self, question: str, evidence: str | None = None, explain: bool = False
    ) -> Translation:
        """Translate one question. Raises psycopg.OperationalError where the database is away.

        evidence: what words of the question stand for; see `mcp_server.nl2sql.words.evidence`.
        """
        texts = worked_in(question, evidence)
        return self._with_connection(lambda conn: self._best(conn, texts, explain))

    def mends(self, sql: str, *, failed: bool) -> list[Mended]:
        """Queries to try in the place of one that fails, or finds nothing; see `mending.mend`.

        Raises psycopg.OperationalError where the database is away.
        """
        return self._with_connection(lambda conn: mends(sql, *self._profile(conn), failed=failed))

    def facts(self, question: str) -> Facts:
        """What is known of the database, and the values that a question says; for a prompt.

        Raises psycopg.OperationalError where the database is away.
        """
        return self._with_connection(lambda conn: facts(question, self._profile(conn)[0]))

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        with self._lock:
            if self._idle is not None:
                self._idle.cancel()
            self._close()

    def _with_connection(self, use: Callable[[psycopg.Connection[Any]], T]) -> T:
        """What `use` makes of the kept connection, or of a new one where that was lost."""
        with self._lock, self._put_by():
            kept = self._conn is not None
            try:
                return use(self._connected())
            except AbandonedError:
                self._close()
                raise
            except psycopg.OperationalError:
                if not kept or self._conn is None or not self._conn.broken:
                    raise
            # the kept connection was lost while nobody looked: a failover, or a pause
            self._close()
            return use(self._connected())

    def _best(self, conn: psycopg.Connection[Any], texts: list[str], explain: bool) -> Translation:
        found = [self._translate(conn, text, explain) for text in texts]
        return max(found, key=lambda each: each.confidence)

    def _translate(
        self, conn: psycopg.Connection[Any], question: str, explain: bool
    ) -> Translation:
        linker, graph = self._profile(conn)
        links = _links(question, linker) if explain else ()
        tried: list[tuple[Made, Result]] = []
        problem = ""
        slow = False
        for made in candidates(question, linker, graph, datetime.date.today())[:TRIED]:
            try:
                result = Result(None) if slow else first_rows(conn, made.sql)
                slow = result.rows is None
                if slow:
                    run(conn, PROBE.steps(f"explain {made.sql}"))
            except RefusedError as error:
                problem = str(error)
            else:
                tried.append((made, result))
        if not tried:
            why = f"no valid query came of it: {problem}"
            reason = why if problem else nothing_made(question, linker, graph)
            return Translation(None, 0.0, reason=reason, links=links)
        return _answer(judge(question, tried), links)

    def _profile(self, conn: psycopg.Connection[Any]) -> tuple[Linker, JoinGraph]:
        version = conn.execute(SCHEMA_VERSION).fetchone()
        if self._known is None or self._known[0] != version:
            with self._connect() as reading_all:
                found = profile(reading_all)
            self._known = (version, Linker(found), JoinGraph(found))
        return self._known[1:]

    def _connected(self) -> psycopg.Connection[Any]:
        if self._conn is None:
            self._conn = self._connect()
        return self._conn

    def _connect(self) -> psycopg.Connection[Any]:
        dsn = conninfo(self.dsn)
        connection: StoppableConnection = connect_to_read(dsn, StoppableConnection)
        try:
            connection.know_itself(dsn)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    @contextlib.contextmanager
    def _put_by(self) -> Iterator[None]:
        """Keep the connection for the next question, for a while."""
        if self._idle is not None:
            self._idle.cancel()
        try:
            yield
        finally:
            self._idle = threading.Timer(IDLE_SECONDS, self.close)
            self._idle.daemon = True
            self._idle.start()


def first_rows(conn: psycopg.Connection[Any], sql: str) -> Result:
    """Run a query for its first rows, through the guard: a view may call anything.

    Raises RefusedError where the guard or PostgreSQL objects.
    """
    try:
        bounded = f"select * from ({sql}) as found limit {SAMPLE_ROWS}"
        return Result(run(conn, PROBE.steps(bounded)).rows)
    except QueryTimeoutError:
        return Result(None)


def _answer(valid: list[Made], links: tuple[Link, ...]) -> Translation:
    shown = tuple(
        Candidate(made.sql, round(made.confidence, 3), reading(made.tree)) for made in valid[:SHOWN]
    )
    best = valid[0]
    confidence = shown[0].confidence
    if confidence < THRESHOLD:
        why = not_sure(best.unused, [(each.reading, each.confidence) for each in shown])
        return Translation(
            None, confidence, reason=why, candidates=shown, unused=best.unused, links=links
        )
    return Translation(
        best.sql,
        confidence,
        shown[0].reading,
        candidates=shown,
        assumptions=tuple(assumptions(best.tree)),
        unused=best.unused,
        links=links,
    )


def _links(question: str, linker: Linker) -> tuple[Link, ...]:
    found = []
    for ref in linker.refs(tokenize(question)):
        meanings: list[tuple[str, float]] = [(str(t), score) for t, score in ref.tables[:2]]
        meanings += [(str(column), score) for column, score in ref.columns[:2]]
        meanings += [(f"{column} = {value!r}", 1.0) for column, value in ref.values[:2]]
        found += [Link(ref.text, meaning, round(score, 2)) for meaning, score in meanings]
    return tuple(found)
