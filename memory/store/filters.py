"""Filters of the store: typed comparisons, in SQL and, for sealed values, in Python.

A number compares with numbers, a string with strings (by code point); a value of another type
never matches `$gt`, `$gte`, `$lt`, `$lte`. Equality is JSON's: 1 equals 1.0, not true. A missing
field counts as null. A nested dict without operators must be contained, key by key.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

from psycopg import sql

from memory.encoding.jsonsafe import contains, equal, plain, to_jsonb
from memory.errors import ConfigurationError

Path = tuple[str, ...]
Condition = tuple[sql.Composable, list[Any]]

_ORDER: dict[str, tuple[sql.SQL, Callable[[Any, Any], bool]]] = {
    "$gt": (sql.SQL(">"), gt),
    "$gte": (sql.SQL(">="), ge),
    "$lt": (sql.SQL("<"), lt),
    "$lte": (sql.SQL("<="), le),
}
OPERATORS = ("$eq", "$ne", *_ORDER, "$in", "$nin", "$exists", "$contains")
LOGICAL = ("$and", "$or", "$not")

_NEVER: Condition = (sql.SQL("false"), [])
_FIELD = sql.SQL("(i.value #> %s::text[])")
_FIELD_OR_NULL = sql.SQL("coalesce(i.value #> %s::text[], 'null')")


def to_sql(filter: Mapping[str, Any]) -> Condition:
    """A condition on the row `i` of memory_items, right for every value that jsonb holds.

    Raises ConfigurationError for what is no filter.
    """
    if not isinstance(filter, Mapping):
        raise ConfigurationError(f"a filter is a dict, not a {type(filter).__name__}")
    return _all([_entry(key, wanted) for key, wanted in filter.items()])


def _entry(key: str, wanted: Any) -> Condition:
    if not isinstance(key, str):
        raise ConfigurationError(f"a filter names fields by strings, not by {key!r}")
    if key in LOGICAL:
        return _logical(key, [to_sql(inner) for inner in filters_of(key, wanted)])
    if key.startswith("$"):
        raise unknown_operator(key, LOGICAL)
    return _compare((key,), plain(wanted))


def filters_of(name: str, wanted: Any) -> list[Mapping[str, Any]]:
    """The filters of a logical operator; `$not` may have a single one."""
    several = [wanted] if name == "$not" and isinstance(wanted, Mapping) else wanted
    if (
        isinstance(several, (list, tuple))
        and several
        and all(isinstance(inner, Mapping) for inner in several)
    ):
        return list(several)
    raise ConfigurationError(f"{name} takes a list of filters")


def _logical(name: str, conditions: list[Condition]) -> Condition:
    joined, parameters = _all(conditions) if name == "$and" else _any(conditions)
    return (sql.SQL("(not {})").format(joined) if name == "$not" else joined), parameters


def unknown_operator(name: str, known: Sequence[str]) -> ConfigurationError:
    """The error for an operator that does not exist."""
    return ConfigurationError(f"unknown filter operator {name!r}; there are {', '.join(known)}")


def matches(value: Mapping[str, Any], filter: Mapping[str, Any]) -> bool:
    """The same, on the value itself."""
    return all(_entry_matches(value, key, wanted) for key, wanted in filter.items())


def _entry_matches(value: Mapping[str, Any], key: str, wanted: Any) -> bool:
    if key not in LOGICAL:
        return _matches(value.get(key, MISSING), plain(wanted))
    found = [matches(value, inner) for inner in filters_of(key, wanted)]
    return {"$and": all(found), "$or": any(found), "$not": not any(found)}[key]


class _Missing:
    """In place of a field that is not there: null, unless somebody asks."""


MISSING = _Missing()


def _any(conditions: list[Condition]) -> Condition:
    joined = sql.SQL(" or ").join(condition for condition, _ in conditions)
    return sql.SQL("({})").format(joined), [p for _, parameters in conditions for p in parameters]


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
        _require_no_bare_operators(path, wanted)
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
    if name in ("$in", "$nin"):
        texts = [text for one in _listed(name, operand) if (text := _as_json(one)) is not None]
        condition = sql.SQL("({} = any(%s::text[]::jsonb[]))").format(_FIELD_OR_NULL)
        if name == "$nin":
            condition = sql.SQL("(not {})").format(condition)
        return condition, [list(path), texts]
    if name == "$exists":
        word = sql.SQL("is not null" if operand else "is null")
        return sql.SQL("({} {})").format(_FIELD, word), [list(path)]
    if name == "$contains":
        several = operand if isinstance(operand, (list, tuple)) else [operand]
        text = _as_json(list(several))
        if text is None:
            return _NEVER
        return (
            sql.SQL("coalesce(jsonb_typeof({0}) = 'array' and {0} @> %s::jsonb, false)").format(
                _FIELD
            ),
            [list(path), list(path), text],
        )
    if name not in _ORDER:
        raise unknown_operator(name, OPERATORS)
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
            _matches(value.get(key, MISSING), operand) for key, operand in wanted.items()
        )
    return _same(None if value is MISSING else value, wanted)


def _operate(value: Any, name: str, operand: Any) -> bool:
    if name == "$exists":
        return (value is not MISSING) == bool(operand)
    value = None if value is MISSING else value
    if name == "$in":
        return any(_same(value, one) for one in _listed(name, operand))
    if name == "$nin":
        return not any(_same(value, one) for one in _listed(name, operand))
    if name == "$contains":
        several = operand if isinstance(operand, (list, tuple)) else [operand]
        return isinstance(value, (list, tuple)) and contains(value, list(several))
    if name == "$eq":
        return _same(value, operand)
    if name == "$ne":
        return not _same(value, operand)
    if name not in _ORDER:
        raise unknown_operator(name, OPERATORS)
    _require_ordered(name, operand)
    value = plain(value)
    both_text = isinstance(value, str) and isinstance(operand, str)
    both_numbers = _is_number(value) and _is_number(operand)
    return (both_text or both_numbers) and _ORDER[name][1](value, operand)


def _listed(name: str, operand: Any) -> Sequence[Any]:
    if isinstance(operand, str) or not isinstance(operand, Sequence):
        raise ConfigurationError(f"{name} takes a list")
    return operand


def _require_no_bare_operators(path: Path, wanted: Mapping[str, Any]) -> None:
    bare = {name.removeprefix("$") for name in OPERATORS}
    if wanted and all(name in bare for name in wanted):
        name = next(iter(wanted))
        raise ConfigurationError(
            f"the filter of {'.'.join(path)!r} has {name!r} without a $; did you mean "
            f'{"$" + name!r}? ({{"$eq": {{...}}}} compares with a dict of that form)'
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(value: Any, wanted: Any) -> bool:
    """Equality of JSON values at any depth."""
    if isinstance(value, (list, tuple)) and isinstance(wanted, (list, tuple)):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    if isinstance(value, Mapping) and isinstance(wanted, Mapping):
        return value.keys() == wanted.keys() and all(_same(value[k], wanted[k]) for k in wanted)
    return equal(value, wanted)
