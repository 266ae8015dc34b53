# ruff: noqa: E501 -- a pattern reads best on one line
"""Words of English that bound, rank and count, as patterns and as operators."""

import re

from mcp_server.nl2sql.lexicon import PHRASE_SUPERLATIVES, SUPERLATIVES
from mcp_server.nl2sql.logical import Aggregate, Operator

MORE: dict[str, Operator] = {
    "more than": ">", "greater than": ">", "larger than": ">", "higher than": ">", "over": ">",
    "above": ">", "exceed": ">", "bigger than": ">", "exceeding": ">", "exceeds": ">",
    "less than": "<", "fewer than": "<", "smaller than": "<", "lower than": "<", "below": "<",
    "under": "<", "at least": ">=", "at most": "<=", "no more than": "<=", "no less than": ">=",
    "exactly": "=", "equal to": "=", "later than": ">", "earlier than": "<", "after": ">",
    "before": "<", "prior to": "<", "since": ">=", "greater than or equal to": ">=",
    "less than or equal to": "<=", "higher than or equal to": ">=", "more than or equal to": ">=",
    "larger than or equal to": ">=", "lower than or equal to": "<=", "smaller than or equal to": "<=", "not more than": "<=", "not less than": ">=", "longer than": ">",
    "shorter than": "<", "older than": ">", "younger than": "<", "heavier than": ">",
    "lighter than": "<", "no": "=", "beyond": ">", "a minimum of": ">=", "minimum of": ">=",
    "not equal to": "<>", "other than": "<>", "more": ">", "up to": "<=", "within": "<=",
}  # fmt: skip
BOUNDS = "|".join(
    sorted((re.escape(k) for k in MORE if k not in ("no", "more")), key=len, reverse=True)
)
OP = rf"(?:be )?(?:not )?(?P<op>{BOUNDS})"
AGGS: dict[str, Aggregate] = {
    "average": "avg", "mean": "avg", "avg": "avg", "maximum": "max", "max": "max", "highest": "max",
    "largest": "max", "greatest": "max", "minimum": "min", "min": "min", "lowest": "min",
    "smallest": "min", "sum": "sum", "total": "sum", "sum-of": "sum", "biggest": "max",
    "combined": "sum", "oldest": "max", "youngest": "min", "longest": "max", "shortest": "min",
    "earliest": "min", "latest": "max", "averages": "avg", "most": "max", "least": "min",
}  # fmt: skip
HIGH = "most|maximum|highest|largest|greatest|biggest|max|top|best|longest|latest"
LOW = "least|fewest|minimum|lowest|smallest|min|shortest|earliest"
COUNTING = r"(?:how many|(?:the )?(?:total |overall )?(?:number|count|amount|quantity) (?:of|for)|count(?: (?:the )?(?:number of)?)?)"
ADJ = "|".join(sorted(SUPERLATIVES, key=len, reverse=True))
PADJ = "|".join(sorted(PHRASE_SUPERLATIVES, key=len, reverse=True))
HAVE = r"(?:have|with|contain|own|include|hold|has|having|that|who|which|use|make|be|do|not)"
