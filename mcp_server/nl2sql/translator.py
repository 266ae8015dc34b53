"""The built-in translator: questions in English to SQL, without a model.

    Translator("postgresql://...").translate("how many customers are from Paris")

It reads the database's profile once, and again when its tables change.
"""

import threading
from typing import Any

import psycopg
from sqlglot import exp

from mcp_server.nl2sql.analysis import analyse
from mcp_server.nl2sql.assumptions import assumptions
from mcp_server.nl2sql.compile import NoJoinError, compile_query
from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.linking import Linker
from mcp_server.nl2sql.profile import profile
from mcp_server.nl2sql.profile_model import Profile
from mcp_server.nl2sql.question import Question, build
from mcp_server.nl2sql.reading import reading
from mcp_server.nl2sql.tokens import tokenize
from mcp_server.nl2sql.translation import Candidate, Link, Translation

THRESHOLD = 0.5
"""Below this confidence a question is declined."""

SCHEMA_VERSION = """
select coalesce(sum(hashtextextended(format('%s.%s.%s', a.attrelid, a.attname, a.atttypid), 0)), 0),
       count(*)
from pg_attribute a join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%'
"""


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
            return _translate(conn, question, linker, graph, explain)

    def _profile(self, conn: psycopg.Connection[Any]) -> tuple[Linker, JoinGraph]:
        version = conn.execute(SCHEMA_VERSION).fetchone()
        with self._lock:
            if self._known is None or self._known[0] != version:
                found = profile(conn)
                self._known = (version, Linker(found), JoinGraph(found))
            return self._known[1:]


def _translate(
    conn: psycopg.Connection[Any], text: str, linker: Linker, graph: JoinGraph, explain: bool
) -> Translation:
    asked = build(text, tokenize(text), linker, graph)
    links = _links(asked) if explain else ()
    if not asked.mentioned and not any(item.ref and item.ref.columns for item in asked.items):
        return Translation(
            None, 0.0, reason="nothing in the question names a table or column of this database"
        )
    analyse(asked)
    unused = tuple(asked.unused())
    try:
        tree = compile_query(asked.query, graph)
        sql = tree.sql(dialect="postgres")
        conn.execute(f"explain {sql}".encode())
    except NoJoinError as error:
        return Translation(None, 0.0, reason=str(error), unused=unused, links=links)
    except psycopg.Error as error:
        return Translation(
            None, 0.0, reason=f"no valid query came of it: {error}", unused=unused, links=links
        )
    confidence = _confidence(asked, tree, unused)
    said = reading(tree)
    candidates = (Candidate(sql, confidence, said),)
    if confidence < THRESHOLD:
        missed = ", ".join(map(repr, unused))
        why = f"not understood: {missed}" if unused else "too many readings are as likely"
        return Translation(
            None, confidence, reason=why, candidates=candidates, unused=unused, links=links
        )
    return Translation(
        sql,
        confidence,
        said,
        candidates=candidates,
        assumptions=tuple(assumptions(tree)),
        unused=unused,
        links=links,
    )


def _confidence(asked: Question, tree: exp.Query, unused: tuple[str, ...]) -> float:
    content = sum(1 for item in asked.items if item.used) or 1
    coverage = content / (content + 1.5 * len(unused))
    joins = len(tree.args.get("joins") or ())
    sureness = coverage - asked.doubt - 0.03 * joins - 0.05 * max(0, joins - 2)
    weak = [
        item.ref
        for item in asked.items
        if item.ref is not None
        and item.used
        and not item.ref.values
        and max(item.ref.best_column, item.ref.best_table) < 0.7
    ]
    return round(max(0.0, min(0.99, sureness - 0.06 * len(weak))), 3)


def _links(asked: Question) -> tuple[Link, ...]:
    found = []
    for item in asked.items:
        if item.ref is not None:
            best: list[tuple[str, float]] = [
                (str(table), score) for table, score in item.ref.tables[:2]
            ]
            best += [(str(column), score) for column, score in item.ref.columns[:2]]
            best += [(f"{column} = {value!r}", 1.0) for column, value in item.ref.values[:2]]
            found += [Link(item.ref.text, meaning, round(score, 2)) for meaning, score in best]
    return tuple(found)


def profile_of(dsn: str) -> Profile:
    """The profile of a database."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        return profile(conn)
