"""Values of PostgreSQL as JSON has them."""

import datetime
import decimal
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

LARGEST_EXACT_INTEGER = 2**53  # beyond it, JavaScript and many JSON readers round
LONGEST_TEXT = 20_000  # characters of one value


def jsonable(value: Any) -> Json:
    """A JSON value that a reader sees as the same; text where JSON has no such type."""
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) <= LARGEST_EXACT_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case decimal.Decimal():
            return _number(value)
        case str():
            return _bounded(value)
        case bytes() | bytearray() | memoryview():
            return _bounded("\\x" + bytes(value[: LONGEST_TEXT // 2 + 1]).hex())
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case list() | tuple():
            return [jsonable(item) for item in value]
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case _:
            return _bounded(str(value))


def _number(value: decimal.Decimal) -> Json:
    """A number; text for what a double cannot hold. A fraction keeps a double's 15 digits."""
    if not value.is_finite() or abs(value) > LARGEST_EXACT_INTEGER:
        return str(value)
    return int(value) if value.as_tuple().exponent == 0 else float(value)


def _bounded(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
