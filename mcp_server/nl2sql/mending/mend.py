"""What to try in the place of a query that fails or finds nothing, before anybody is asked again.

Each mend is a rule of PostgreSQL or of this database: it is applied where it fits, and what comes
out is checked and run like any other query.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import structlog
from sqlglot import exp

from mcp_server.nl2sql.database import parsed
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.mending import grouping, keys, names, spelling
from mcp_server.nl2sql.mending.sources import Sources
from mcp_server.nl2sql.schema.joins import JoinGraph

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mended:
    """Another query in the place of one. notes: what was changed, for people to read."""

    sql: str
    notes: tuple[str, ...]


def mends(sql: str, linker: Linker, graph: JoinGraph, *, failed: bool) -> list[Mended]:
    """Queries to try in the place of one; none where nothing is to mend.

    failed: whether PostgreSQL refused the query: then the one with all mends comes first. Otherwise
    it found no rows, and the one nearest to it does.
    """
    tree = parsed.tree(sql)
    if tree is None:
        return []
    found: list[Mended] = []
    try:
        found = list(_mended(tree.copy(), linker, graph, failed=failed))
    except Exception:  # a query of a form nobody thought of stays as it is; the log says why
        log.exception("mcp.query_not_mended")
    return found[::-1] if failed else found


def _mended(tree: exp.Expr, linker: Linker, graph: JoinGraph, *, failed: bool) -> Iterator[Mended]:
    steps = _of_failures(tree, linker, graph) if failed else _of_nothing(tree, linker, graph)
    notes: list[str] = []
    known = set[str]()
    for step in steps:
        said = list(step)
        notes += said
        written = tree.sql(dialect="postgres")
        if said and written not in known:
            known.add(written)
            yield Mended(written, tuple(dict.fromkeys(notes)))


def _of_failures(tree: exp.Expr, linker: Linker, graph: JoinGraph) -> Iterator[Iterator[str]]:
    yield names.tables(tree, linker)
    yield names.columns(tree, linker, graph)
    yield names.ambiguous(tree, linker)
    yield chain(
        keys.joins(tree, linker, graph, strict=False),
        keys.memberships(tree, linker, graph, strict=False),
    )
    yield keys.names_for_keys(tree, linker, graph)
    yield spelling.types(tree, linker)
    yield grouping.nested(tree)
    yield grouping.measured_rows(tree)
    yield grouping.several(tree, Sources(tree, linker.profile))
    yield grouping.groups(tree)


def _of_nothing(tree: exp.Expr, linker: Linker, graph: JoinGraph) -> Iterator[Iterator[str]]:
    yield spelling.values(tree, linker)
    yield keys.names_for_keys(tree, linker, graph)
    yield chain(
        keys.joins(tree, linker, graph, strict=True),
        keys.memberships(tree, linker, graph, strict=True),
    )
