"""Signs in what a query finds: an empty answer, missing values, the same rows as another reading.

Every candidate is run for its first rows before one is chosen. A query that finds nothing has
seldom been meant, and two readings that find the same rows are witnesses for each other however
differently they are written.
"""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp_server.nl2sql.choosing.confidence import COUNT, SUPERLATIVE, asks_for_groups

SAMPLE_ROWS = 101
"""Rows of a candidate that are read."""

MANY_ROWS = 20

_PLURAL = re.compile(r"^(?:list|show|find all|give all|return all)|what are|which are")
_SINGULAR = re.compile(r"^(?:what|who|which) (?:is|was) the (?:name|id|\w+) of the \w+[^s] ")


@dataclass(frozen=True, slots=True)
class Result:
    """The first SAMPLE_ROWS rows of a query, or None where it took too long to run."""

    rows: Sequence[tuple[Any, ...]] | None

    def key(self, query: str) -> Hashable:
        """Equal for queries that find the same rows, in any order of rows and columns."""
        if self.rows is None:
            return query
        return tuple(sorted(tuple(sorted(map(_plain, row))) for row in self.rows))


def result_signs(
    question: str, result: Result, *, ordered: bool, joined: bool, denied: bool
) -> dict[str, float]:
    """Signs in one result. ordered: the query keeps the first of an order, or aggregates.
    joined: it reads several tables. denied: it asks for what is not, and nothing is an answer.
    """
    low = question.lower()
    rows = result.rows
    if rows is None:
        return {}
    flat = [value for row in rows for value in row]
    each = asks_for_groups(low)
    single = len(rows) == 1 and len(rows[0]) == 1
    repeated = len({tuple(map(_plain, row)) for row in rows}) < len(rows)
    asked_one = bool(SUPERLATIVE.search(low))
    return {
        "rows none": float(not rows and not denied),
        "rows none, denied": float(not rows and denied),
        "rows null": float(bool(flat) and all(value is None for value in flat)),
        "rows some null": float(any(value is None for value in flat)),
        "rows zero": float(single and _plain(flat[0]) == "0"),
        "rows one": float(len(rows) == 1 and not each),
        "rows many": float(len(rows) > MANY_ROWS),
        "rows cut": float(len(rows) >= SAMPLE_ROWS),
        "rows repeated": float(repeated),
        "rows repeated, not a join": float(repeated and not joined),
        "one value": float(single and not each),
        "one value of each": float(single and each),
        "one value, unasked count": float(single and not ordered and not COUNT.search(low)),
        "several asked, one row": float(
            len(rows) == 1 and bool(_PLURAL.search(low)) and not ordered
        ),
        "superlative, several rows": float(asked_one and len(rows) > 1 and not each),
        "one asked, several rows": float(len(rows) > 1 and bool(_SINGULAR.match(low))),
    }


def _plain(value: Any) -> str:
    """A value as text; numbers of any type alike."""
    if value is None or isinstance(value, bool | str):
        return str(value)
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value)
