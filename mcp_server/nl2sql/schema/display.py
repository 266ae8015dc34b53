"""What the rows of a table are called by, and shown by where a question does not say."""

import re
from collections.abc import Sequence

from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.lexicon import PEOPLE, TITLES
from mcp_server.nl2sql.words.tokens import identifier_words

_FIRST = re.compile(r"(?:^|_)(?:first|given|fore)_?name$|(?:^|_)f_?name$")
_LAST = re.compile(r"(?:^|_)(?:last|family|sur)_?name$|(?:^|_)l_?name$")

CODES = frozenset({"code", "cd", "number", "no", "nbr", "reference"})
CALLED_BY = frozenset(
    {"label", "subject", "headline", "caption", "username", "login", "nickname", "handle"}
)


def name_of(table: Table) -> Column | None:
    """The column that rows are called by."""
    best, best_score = None, 0.0
    for column in table.columns:
        if column.kind is not Kind.TEXT or column.foreign:
            continue
        low = column.name.lower()
        score = 0.0
        if column.words == ("name",):
            score = 5
        elif column.words[-1:] == ("name",) and set(column.words[:-1]) <= set(table.words):
            score = 4
        elif column.words[-1:] == ("name",) or low.endswith("name"):
            score = 2 + 1.0 * any(w in low for w in table.words)
        elif len(column.words) == 1 and column.words[0] in TITLES:
            score = 2.5
        elif TITLES & set(column.words) and set(column.words) <= TITLES | set(table.words):
            score = 2.2
        elif low in ("title",) or column.words[-1:] == ("title",):
            score = 1.8
        elif set(column.words) and set(column.words) <= set(table.words):
            score = 1.5
        elif len(column.words) == 1 and column.words[0] in CALLED_BY:
            score = 1.2
        elif column.words[-1:] == ("description",):
            score = 0.3
        if score > best_score:
            best, best_score = column, score
    return best


def full_name(table: Table) -> list[Column]:
    """The columns that rows are called by: one, or a first and a last name, or none."""
    if table.display:
        return list(table.display)
    column = name_of(table)
    if column is None:
        return []
    parts = [next((c for c in table.columns if named(c)), None) for named in (_is_first, _is_last)]
    both = [part for part in parts if part is not None]
    return both if len(both) == 2 and column in both else [column]


def parts_of_name(names: Sequence[str]) -> set[str]:
    """Those of some columns that are a first and a last name; empty where not both are there."""
    words = {name: "_".join(identifier_words(name)) for name in names}
    first, last = (
        {name for name, text in words.items() if pattern.search(text)}
        for pattern in (_FIRST, _LAST)
    )
    return first | last if first and last else set()


def are_people(table: Table) -> bool:
    """Whether rows are people: they have a first and a last name, or the table says so; what ties
    people to other things is called after both.
    """
    tie = sum(column.primary for column in table.columns) > 1
    return len(full_name(table)) == 2 or (bool(PEOPLE & set(table.words)) and not tie)


def _is_first(column: Column) -> bool:
    return _FIRST.search("_".join(column.words)) is not None


def _is_last(column: Column) -> bool:
    return _LAST.search("_".join(column.words)) is not None


def shown(table: Table) -> list[Column]:
    """What a row is shown by when the question does not say."""
    named = full_name(table)
    if named:
        return named
    alike = next((c for c in table.columns if c.words == table.words), None)
    keys = [column for column in table.columns if column.primary]
    if alike is None and len(keys) > 1:
        return keys
    return [alike or _code(table) or table.key or table.columns[0]]


def _code(table: Table) -> Column | None:
    """The number or code that people know rows by, where their key is one of the database's."""
    key = table.key
    if key is None or key.kind is not Kind.NUMBER:
        return None
    codes = (
        column
        for column in table.columns
        if column.kind is Kind.TEXT
        and not column.foreign
        and column.words[-1] in CODES
        and set(column.words[:-1]) <= set(table.words)
        and (column.unique or column.distinct >= table.rows > 0)
    )
    return next(codes, None)
