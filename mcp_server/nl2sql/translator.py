"""The built-in translator: questions in English to SQL, without a model.

    Translator("postgresql://...").translate("how many customers are from Paris")

It reads the database's profile once, and again when its tables change.
"""

import threading
from typing import Any

import psycopg

from mcp_server.nl2sql.assumptions import assumptions
from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.linking import Linker
from mcp_server.nl2sql.profile import profile
from mcp_server.nl2sql.reading import reading
from mcp_server.nl2sql.second.candidates import Made, candidates
from mcp_server.nl2sql.tokens import tokenize
from mcp_server.nl2sql.translation import Candidate, Link, Translation

THRESHOLD = 0.57
"""Below this confidence a question is declined."""

SHOWN = 3

SCHEMA_VERSION = """
select coalesce(sum(a.xmin::text::bigint), 0), count(*), sum(distinct c.reltuples),
       (select count(*) from pg_constraint where oid >= 16384)
from pg_attribute a join pg_class c on c.oid = a.attrelid
where a.attrelid >= 16384 and c.relpersistence <> 't' and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""
"""Any change of a column's definition writes new rows there; ANALYZE sets what tables hold."""


class Translator:
    """Translates questions about one database; safe to call from several threads.

    dsn: libpq connection string of a role that may read.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._lock = threading.Lock()
        self._known: tuple[Any, Linker, JoinGraph] | None = None

    def translate(
        self, question: str, evidence: str | None = None, explain: bool = False
    ) -> Translation:
        """Translate one question. Raises psycopg.OperationalError where the database is away."""
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            linker, graph = self._profile(conn)
            links = _links(question, linker) if explain else ()
            valid: list[tuple[Made, str]] = []
            problem = ""
            for made in candidates(question, linker, graph):
                if len(valid) == SHOWN:
                    break
                sql = made.tree.sql(dialect="postgres")
                objection = _explain(conn, sql)
                if objection:
                    problem = objection
                else:
                    valid.append((made, sql))
            return _answer(valid, problem, links)

    def _profile(self, conn: psycopg.Connection[Any]) -> tuple[Linker, JoinGraph]:
        version = conn.execute(SCHEMA_VERSION).fetchone()
        with self._lock:
            if self._known is None or self._known[0] != version:
                found = profile(conn)
                self._known = (version, Linker(found), JoinGraph(found))
            return self._known[1:]


def _explain(conn: psycopg.Connection[Any], sql: str) -> str:
    """What PostgreSQL has against a query; empty where it plans it."""
    try:
        conn.execute(f"explain {sql}".encode())
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return str(error).splitlines()[0]
    return ""


def _answer(valid: list[tuple[Made, str]], problem: str, links: tuple[Link, ...]) -> Translation:
    if not valid:
        why = (
            f"no valid query came of it: {problem}"
            if problem
            else "nothing in the question names a table or column of this database"
        )
        return Translation(None, 0.0, reason=why, links=links)
    shown = tuple(
        Candidate(sql, round(made.confidence, 3), reading(made.tree)) for made, sql in valid[:SHOWN]
    )
    best, sql = valid[0]
    confidence = shown[0].confidence
    if confidence < THRESHOLD:
        missed = ", ".join(map(repr, best.unused))
        why = f"not understood: {missed}" if missed else "other readings are as likely"
        return Translation(
            None, confidence, reason=why, candidates=shown, unused=best.unused, links=links
        )
    return Translation(
        sql,
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
