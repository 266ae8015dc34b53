"""By which keys tables are joined where a question names the table between them."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from mcp_server.nl2sql.linking.heard import role_words, roots
from mcp_server.nl2sql.linking.linking import Ref
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import ForeignKey, Profile, Table
from mcp_server.nl2sql.words.lexicon import STOP
from mcp_server.nl2sql.words.tokens import Token

NAMED = 0.8
"""How well a word fits a table at least that it names: *bought* is in a purchase."""
NEAR = 2
"""So many joins lie at most between the table that is named and what is said of it."""


def as_said(
    tokens: Sequence[Token], refs: Sequence[Ref], known: Profile, graph: JoinGraph
) -> JoinGraph:
    """The keys without those that lead past what a question names: readers who *purchased* Winter
    have it in a purchase, whatever their favourite book is.
    """
    said = roots({token.lemma for token in tokens})
    passed = {
        key
        for one, then in pairwise(refs)
        if all(token.lemma in STOP for token in tokens[one.end : then.start])
        for key in _past(_tables(one), {*_tables(then), *_held_in(then)}, graph)
        if role_words(key.column, key.target.table)
        and not said & roots(role_words(key.column, key.target.table))
    }
    return JoinGraph(known, passed) if passed else graph


def _tables(ref: Ref) -> list[Table]:
    return [table for table, score in ref.tables if score >= NAMED]


def _held_in(ref: Ref) -> list[Table]:
    return [column.table for column, _ in ref.values]


def _past(named: Sequence[Table], said_of_it: set[Table], graph: JoinGraph) -> Iterator[ForeignKey]:
    """Keys of rows of a third kind, which belong to what is named, to what is said of it."""
    if len(named) != 1 or named[0] in said_of_it:
        return
    for other in said_of_it:
        for key in graph.keys_to(other):
            holder = key.column.table
            if holder is named[0] or not graph.keys_between(named[0], holder):
                continue
            way = graph.path(named[0], other, without=holder)
            if way and len(way) <= NEAR:
                yield key
