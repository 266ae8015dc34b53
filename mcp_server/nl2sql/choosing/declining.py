"""Why a question is declined, as far as is known: what it names, and what is missing."""

from collections.abc import Sequence
from itertools import combinations

from mcp_server.nl2sql.linking.linking import Linker, Ref
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Table
from mcp_server.nl2sql.words.tokens import tokenize

CLOSE = 0.5
"""A reading with this share of the confidence of the first is as good as it."""


def nothing_made(question: str, linker: Linker, graph: JoinGraph) -> str:
    """Why no query came of a question at all."""
    named = _named(linker.refs(linker.prepare(tokenize(question))))
    if not named:
        return "nothing in the question names a table or column of this database"
    for (words, one), (other_words, other) in combinations(named, 2):
        if graph.path(one, other) is None:
            return (
                f"{words!r} is about {one.name} and {other_words!r} about {other.name}, and no key "
                "leads from one of these tables to the other"
            )
    parts = ", ".join(f"{words!r} as {table.name}" for words, table in named[:3])
    return f"the question names {parts}; what is asked of it was not understood"


def not_sure(missed: Sequence[str], readings: Sequence[tuple[str, float]]) -> str:
    """Why the best query is not given. missed: words that it does not use.

    readings: of the queries considered and the confidence in each, best first.
    """
    if missed:
        return f"not understood: {', '.join(map(repr, missed))}"
    first = readings[0]
    rivals = [text for text, sure in readings[1:] if sure >= CLOSE * first[1] and text != first[0]]
    if rivals:
        return f"it may mean: {' or: '.join([first[0], *rivals])}"
    return f"not sure enough that it means: {first[0]}"


def _named(refs: Sequence[Ref]) -> list[tuple[str, Table]]:
    """Words of the question with the one table that they speak of."""
    found: dict[Table, str] = {}
    for ref in refs:
        if ref.tables and ref.best_table >= ref.best_column:
            found.setdefault(ref.tables[0][0], ref.text)
            continue
        holders = {column.table for column, _ in ref.columns} | {c.table for c, _ in ref.values}
        if len(holders) == 1:
            found.setdefault(holders.pop(), ref.text)
    return [(words, table) for table, words in found.items()]
