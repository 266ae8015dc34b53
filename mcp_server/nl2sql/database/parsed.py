"""A query as sqlglot reads it, for telling people what it asks. Nothing is decided on it."""

from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcp_server.nl2sql.database import postgres_lexer

# Operators of pgvector and pg_trgm (distance, similarity) that sqlglot does not parse.
OPERATOR_STANDS_FOR = {
    **dict.fromkeys(("<#>", "<+>", "<~>", "<%>", "<<->", "<<<->", "<->>", "<->>>"), "<->"),
    **dict.fromkeys(("<%", "%>", "<<%", "%>>"), "%"),
}


@lru_cache(maxsize=64)
def statement(sql: str) -> exp.Expr | None:
    """The tree of one statement; None where sqlglot cannot read it."""
    try:
        found = sqlglot.parse(_with_known_operators(sql), dialect="postgres")
    except (SqlglotError, RecursionError, postgres_lexer.LexicalError):
        return None
    return found[0] if len(found) == 1 else None


def tree(query: str) -> exp.Query | exp.Values | None:
    """The tree of one query, without EXPLAIN; None where sqlglot cannot read it."""
    found = statement(query)
    return found if isinstance(found, exp.Query | exp.Values) else None


def _with_known_operators(query: str) -> str:
    """The text with operators that sqlglot does not know put as ones that it does."""
    pieces, done = [], 0
    for token in postgres_lexer.tokens(query):
        if token.kind is postgres_lexer.Kind.SYMBOL and token.text in OPERATOR_STANDS_FOR:
            pieces += [query[done : token.start], OPERATOR_STANDS_FOR[token.text]]
            done = token.end
    return "".join([*pieces, query[done:]])
