"""`The distribution of grades`: how many rows there are of each value."""

import re

from mcp_server.nl2sql.grammar.compound.rates import without_percent
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import SURELY
from mcp_server.nl2sql.schema.model import Column
from mcp_server.nl2sql.words.lexicon import STOP
from mcp_server.nl2sql.words.tokens import lemma, tokenize

NAMED = 0.85
"""Words that name a column so well mean it."""
VALUES_MAX = 40
"""A measure of more values than this is told in ranges, which nobody has said."""
WORDS_MAX = 4
_W = r"[A-Za-z][\w'-]*"
_REST = (
    r"(?P<rest>(?:,? (?:in|for|during|since|from|among|at|on|where|whose|who|by|per)\b.*)?)"
    r"(?P<mark>[?.! ]*)\Z"
)
_OF = re.compile(
    rf"\b(?:the )?(?:frequency )?distribution of (?:(?:the|all|our) )*(?P<what>{_W}(?: {_W})*?)"
    rf"(?: (?:by|across|over|among|per) (?:(?:the|all|our) )*(?P<by>{_W}(?: {_W})*?))?{_REST}",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    rf"(?P<what>{_W}(?: {_W}){{0,{WORDS_MAX - 1}}}) (?:frequency )?distribution{_REST}",
    re.IGNORECASE,
)


def in_counts(text: str, linker: Linker) -> str:
    """The question with a distribution as counts, and without `in percent` of a share."""
    return _counted(without_percent(text, linker), linker)


def _counted(text: str, linker: Linker) -> str:
    match = _OF.search(text)
    if match is not None:
        return _put(text, match, match.start(), match["what"], match["by"], linker)
    match = _BEHIND.search(text)
    if match is None:
        return text
    words = match["what"].split()
    while words and lemma(words[0].lower()) in STOP:
        words.pop(0)
    start = match.end("what") - len(" ".join(words))
    return _put(text, match, start, " ".join(words), None, linker)


def _put(
    text: str, match: re.Match[str], start: int, what: str, by: str | None, linker: Linker
) -> str:
    end = f"{match['rest']}{match['mark']}"
    if by is not None:
        counted = _names_table(what, linker) and _column(by, linker) is not None
        return f"{text[:start]}number of {what} by {by}{end}" if counted else text
    column = _column(what, linker)
    if column is None or (column.adds_up and column.distinct > VALUES_MAX):
        return text
    return (
        f"{text[:start]}number of {' '.join(column.table.words)} by {' '.join(column.words)}{end}"
    )


def _column(said: str, linker: Linker) -> Column | None:
    """The one column that words name, alone or behind the name of its table."""
    words = tuple(token.lemma for token in linker.prepare(tokenize(said)))
    for start in range(len(words)):
        named = [column for column, score in linker.columns(words[start:]) if score >= NAMED]
        if start:
            tables = {table for table, _ in linker.tables(words[:start])}
            named = [column for column in named if column.table in tables]
        if named:
            return named[0] if len(named) == 1 else None
    return None


def _names_table(said: str, linker: Linker) -> bool:
    words = tuple(token.lemma for token in linker.prepare(tokenize(said)))
    return any(score >= SURELY for _, score in linker.tables(words))
