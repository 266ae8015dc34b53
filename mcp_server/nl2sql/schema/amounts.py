"""The amounts of money that rows have, by their names, their types and what is said of them."""

import re

from mcp_server.nl2sql.schema.model import Column, Table

MONEY = frozenset(
    {"price", "amount", "amt", "total", "tot", "value", "val", "revenue", "fee", "fare", "charge",
     "sum", "cost", "fine", "penalty", "salary", "wage", "rent", "premium", "payment", "paid",
     "due", "toll", "spend", "expense"}
)  # fmt: skip
BESIDE = frozenset(
    {"discount", "tax", "vat", "refund", "tip", "commission", "list", "deposit", "shipping",
     "delivery", "postage", "handling", "surcharge"}
)  # fmt: skip
"""Words of amounts that are a part of what rows come to, or are taken from it."""
OF_ONE = frozenset(
    {"unit", "per", "hourly", "daily", "weekly", "monthly", "rate", "limit", "target", "max", "min",
     "maximum", "minimum", "average", "avg", "percent", "pct", "percentage", "count", "number"}
)  # fmt: skip
"""Words of what one piece or one hour costs, of bounds, and of what is no money."""
QUANTITIES = frozenset({"quantity", "qty", "count", "units", "unit", "number", "hours"})
IN_MONEY = re.compile(
    r"[$€£¥]|\b(?:eur|euros?|usd|gbp|chf|dollars?|pounds sterling|cents|pence|amount of money)\b",
    re.IGNORECASE,
)
NO_QUANTITY = frozenset({"amount", "amt", "total", "tot"})
"""What is of all pieces, where there is a quantity beside it."""


def amounts_of(table: Table) -> list[Column]:
    """The amounts that rows of a table come to; of what goes without others, those alone."""
    found = [column for column in table.columns if _is_money(column)]
    own = [c for c in found if not BESIDE - set(table.words) & set(c.words)] or found
    several = any(QUANTITIES & set(c.words) for c in table.columns if c.adds_up and c not in own)
    return [c for c in own if not several or NO_QUANTITY & set(c.words)]


def _is_money(column: Column) -> bool:
    words = set(column.words)
    if not column.adds_up or OF_ONE & words:
        return False
    told = IN_MONEY.search(column.comment or "") is not None
    return bool(MONEY & words) or column.base == "money" or told
