"""Filters of the store: typed comparisons, in SQL and, for sealed values, in Python.

A number compares with numbers, a string with strings (by code point); a value of another type
never matches `$gt`, `$gte`, `$lt`, `$lte`. Equality is JSON's: 1 equals 1.0, not true. A missing
field counts as null. A nested dict without operators must be contained, key by key.
"""

import math
from collections.abc import Callable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from psycopg import sql

from memory.encoding.jsonsafe import equal, to_jsonb
from memory.errors import ConfigurationError

Path = tuple[str, ...]
Condition = tuple[sql.Composable, list[Any]]

_ORDER: dict[str, tuple[sql.SQL, Callable[[Any, Any], bool]]] = {
    "$gt": (sql.SQL(">"), gt),
    "$gte": (sql.SQL(">="), ge),
    "$lt": (sql.SQL("<"), lt),
    "$lte": (sql.SQL("<="), le),
}
OPERATORS = ("$eq", "$ne", *_ORDER)

_NEVER: Condition = (sql.SQL("false"), [])
_FIELD = sql.SQL("(i.value #> %s::text[])")
_FIELD_OR_NULL = sql.SQL("coalesce(i.value #> %s::text[], 'null')")


def to_sql(filter: Mapping[str, Any]) -> Condition:
    """A condition on the row `i` of memory_items, right for every value that jsonb holds."""
    return _all([_compare((key,), wanted) for key, wanted in filter.items()])


def matches(value: Mapping[str, Any], filter: Mapping[str, Any]) -> bool:
    """The same, on the value itself."""
    return all(_matches(value.get(key), wanted) for key, wanted in filter.items())


def _all(conditions: list[Condition]) -> Condition:
    if not conditions:
        return sql.SQL("true"), []
    joined = sql.SQL(" and ").join(condition for condition, _ in conditions)
    return sql.SQL("({})").format(joined), [p for _, parameters in conditions for p in parameters]


def _has_operators(wanted: Any) -> bool:
    return isinstance(wanted, Mapping) and any(str(key).startswith("$") for key in wanted)


def _compare(path: Path, wanted: Any) -> Condition:
    if _has_operators(wanted):
        return _all([_operator(path, name, operand) for name, operand in wanted.items()])
    if isinstance(wanted, Mapping):
        is_object: Condition = (
            sql.SQL("coalesce(jsonb_typeof({}) = 'object', false)").format(_FIELD),
            [list(path)],
        )
        inner = [_compare((*path, str(key)), operand) for key, operand in wanted.items()]
        return _all([is_object, *inner])
    return _equals(path, wanted)


def _equals(path: Path, wanted: Any) -> Condition:
    if isinstance(wanted, tuple):
        wanted = list(wanted)
    keep = _as_json(wanted)
    if keep is None or any("\0" in step for step in path):
        return _NEVER
    return sql.SQL("{} = %s::jsonb").format(_FIELD_OR_NULL), [list(path), keep]


def _as_json(value: Any) -> str | None:
    """JSON text if jsonb's equality means what ours does; None for what it cannot hold."""
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    text, exact = to_jsonb({"": value})
    return text[len('{"": ') : -1] if exact else None


def _operator(path: Path, name: str, operand: Any) -> Condition:
    if name == "$eq":
        return _equals(path, operand)
    if name == "$ne":
        condition, parameters = _equals(path, operand)
        return sql.SQL("(not {})").format(condition), parameters
    if name not in _ORDER:
        raise ConfigurationError(
            f"unknown filter operator {name!r}; there are {', '.join(OPERATORS)}"
        )
    _require_ordered(name, operand)
    symbol = _ORDER[name][0]
    if isinstance(operand, str):
        if "\0" in operand:
            return _NEVER
        template = (
            "(case when jsonb_typeof({field}) = 'string'"
            " then ({field} #>> '{{}}') collate \"C\" {symbol} %s else false end)"
        )
    else:
        if not math.isfinite(operand):
            # Only a sealed value can hold what compares with an infinity's neighbours.
            finite = {"$gt": operand < 0, "$gte": operand < 0}.get(name, operand > 0)
            number = sql.SQL("coalesce(jsonb_typeof({}) = 'number', false)").format(_FIELD)
            return (number, [list(path)]) if finite else _NEVER
        template = (
            "(case when jsonb_typeof({field}) = 'number'"
            " then ({field} #>> '{{}}')::numeric {symbol} %s::numeric else false end)"
        )
    condition = sql.SQL(template).format(field=_FIELD, symbol=symbol)
    rendered = operand if isinstance(operand, str) else repr(operand)
    return condition, [list(path), list(path), rendered]


def _require_ordered(name: str, operand: Any) -> None:
    if isinstance(operand, bool) or not isinstance(operand, (int, float, str)):
        raise ConfigurationError(
            f"{name} compares numbers or strings, not {type(operand).__name__}"
        )


def _matches(value: Any, wanted: Any) -> bool:
    if _has_operators(wanted):
        return all(_operate(value, name, operand) for name, operand in wanted.items())
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            _matches(value.get(key), operand) for key, operand in wanted.items()
        )
    return _same(value, wanted)


def _operate(value: Any, name: str, operand: Any) -> bool:
    if name == "$eq":
        return _same(value, operand)
    if name == "$ne":
        return not _same(value, operand)
    if name not in _ORDER:
        raise ConfigurationError(
            f"unknown filter operator {name!r}; there are {', '.join(OPERATORS)}"
        )
    _require_ordered(name, operand)
    both_text = isinstance(value, str) and isinstance(operand, str)
    both_numbers = _is_number(value) and _is_number(operand)
    return (both_text or both_numbers) and _ORDER[name][1](value, operand)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(value: Any, wanted: Any) -> bool:
    """Equality of JSON values at any depth."""
    if isinstance(value, (list, tuple)) and isinstance(wanted, (list, tuple)):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return value.keys() == wanted.keys() and all(_same(value[k], wanted[k]) for k in wanted)
    return equal(value, wanted)
