"""When two results are the same answer: a hash of the rows, whatever their order.

Columns may come in any order too, since "name and age" and "age and name" answer one question.
Numbers are compared to six digits, so that a sum of doubles does not depend on the plan.
"""

import datetime
import decimal
import hashlib
import math
from collections.abc import Sequence
from typing import Any

SIGNIFICANT_DIGITS = 6


def digest(rows: Sequence[Sequence[Any]]) -> str:
    """A hash that is equal for results with the same multiset of rows."""
    cells = [[canonical(value) for value in row] for row in rows]
    width = len(cells[0]) if cells else 0
    order = sorted(range(width), key=lambda i: (sorted(row[i] for row in cells), i))
    lines = sorted("\x1f".join(row[i] for i in order) for row in cells)
    return hashlib.sha256(f"{width}\x1d{chr(30).join(lines)}".encode()).hexdigest()[:32]


def canonical(value: Any) -> str:
    """One value as text, the same for values that a person would call equal."""
    match value:
        case None:
            return "\x00"
        case bool():
            return f"b{value}"
        case int() | float() | decimal.Decimal():
            number = float(value)
            if math.isnan(number) or math.isinf(number):
                return f"n{number}"
            return f"n{number + 0.0:.{SIGNIFICANT_DIGITS}g}"
        case datetime.datetime():
            if value.tzinfo is not None:
                value = value.astimezone(datetime.UTC).replace(tzinfo=None)
            at_midnight = value.time() == datetime.time(0)
            return f"t{value.date().isoformat() if at_midnight else value.isoformat()}"
        case datetime.date() | datetime.time():
            return f"t{value.isoformat()}"
        case datetime.timedelta():
            return f"n{value.total_seconds():.{SIGNIFICANT_DIGITS}g}"
        case list() | tuple():
            return "l" + "\x1e".join(canonical(item) for item in value)
        case _:
            return f"s{str(value).rstrip()}"
