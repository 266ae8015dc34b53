"""Whether two queries answer a question alike: by what they find, and by how they are written."""

from collections import Counter
from collections.abc import Sequence
from enum import Enum
from itertools import islice, product
from typing import Any

import sqlglot
from sqlglot.errors import SqlglotError

from mcp_server.nl2sql.choosing.confidence import canonical as canonical_query
from mcp_server.nl2sql.database.digest import canonical

MOST_ASSIGNMENTS = 200
"""Ways to match the columns of two results that are tried."""


class Likeness(Enum):
    """How one result is to another."""

    SAME = "same"
    EXTRA = "extra"
    """The same, with columns that the other does not have."""
    FEWER = "fewer"
    """The same, without columns that the other has."""
    REPEATED = "repeated"
    """The same but for repeated rows: one of them is distinct."""
    OTHER = "other"


def likeness(rows: Sequence[Sequence[Any]], other: Sequence[Sequence[Any]]) -> Likeness:
    """How rows are to other rows, whatever the order of rows and columns; `digest` for equality."""
    if not rows or not other:
        return Likeness.SAME if not rows and not other else Likeness.OTHER
    mine = [tuple(canonical(value) for value in row) for row in rows]
    theirs = [tuple(canonical(value) for value in row) for row in other]
    wide, narrow = len(mine[0]), len(theirs[0])
    if wide == narrow:
        if _projects(mine, theirs, distinct=False):
            return Likeness.SAME
        return Likeness.REPEATED if _projects(mine, theirs, distinct=True) else Likeness.OTHER
    if wide > narrow:
        return Likeness.EXTRA if _projects(mine, theirs, distinct=True) else Likeness.OTHER
    return Likeness.FEWER if _projects(theirs, mine, distinct=True) else Likeness.OTHER


def same_text(sql: str, other: str) -> bool:
    """Whether two queries are written alike but for aliases and the order of their parts."""
    try:
        trees = [sqlglot.parse_one(text, dialect="postgres") for text in (sql, other)]
    except (SqlglotError, RecursionError):
        return False
    return canonical_query(trees[0]).lower() == canonical_query(trees[1]).lower()


def _projects(
    wide: Sequence[tuple[str, ...]], narrow: Sequence[tuple[str, ...]], *, distinct: bool
) -> bool:
    """Whether some columns of one result are the other's. distinct: repeated rows count once."""

    def held(column: Sequence[str]) -> object:
        return frozenset(column) if distinct else Counter(column)

    def whole(rows: Sequence[tuple[str, ...]]) -> object:
        return frozenset(rows) if distinct else Counter(rows)

    columns = [held([row[at] for row in wide]) for at in range(len(wide[0]))]
    wanted = [held([row[at] for row in narrow]) for at in range(len(narrow[0]))]
    choices = [[at for at, has in enumerate(columns) if has == each] for each in wanted]
    aim = whole(narrow)
    return any(
        whole([tuple(row[at] for at in chosen) for row in wide]) == aim
        for chosen in islice(product(*choices), MOST_ASSIGNMENTS)
        if len(set(chosen)) == len(chosen)
    )
