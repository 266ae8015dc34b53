"""Metadata filters of the vector store, in langchain-postgres' language.

A field is a column of the table if it was named as one, else a field of the JSON column. Values
compare by type, as in `memory.store.filters`; a missing field equals None.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from memory.encoding.ids import storable
from memory.encoding.jsonsafe import escaped, plain, to_jsonb
from memory.errors import ConfigurationError

Condition = tuple[sql.Composable, list[Any]]

COMPARISONS: dict[str, sql.SQL] = {
    "$lt": sql.SQL("<"),
    "$lte": sql.SQL("<="),
    "$gt": sql.SQL(">"),
    "$gte": sql.SQL(">="),
}
PATTERNS: dict[str, sql.SQL] = {"$like": sql.SQL("like"), "$ilike": sql.SQL("ilike")}
FIELD_OPERATORS = (
    "$eq",
    "$ne",
    *COMPARISONS,
    "$in",
    "$nin",
    "$between",
    "$exists",
    "$contains",
    *PATTERNS,
)
LOGICAL = ("$and", "$or", "$not")


@dataclass(frozen=True, slots=True)
class Fields:
    """Where fields are: columns by name, and the JSON column if there is one."""

    columns: frozenset[str]
    json_column: str | None

    def condition(self, filter: Mapping[str, Any]) -> Condition:
        """SQL of a filter; raises `ConfigurationError` for what is not one."""
        if not isinstance(filter, Mapping):
            raise ConfigurationError(f"a filter is a dict, not a {type(filter).__name__}")
        return _join(" and ", [self._entry(key, plain(value)) for key, value in filter.items()])

    def _entry(self, key: str, value: Any) -> Condition:
        if not isinstance(key, str):
            raise ConfigurationError(f"a filter names fields by strings, not by {key!r}")
        match key.lower():
            case "$and" | "$or" as name:
                if not isinstance(value, Sequence) or isinstance(value, str) or not value:
                    raise ConfigurationError(f"{name} takes a list of filters")
                word = " and " if name == "$and" else " or "
                return _join(word, [self.condition(inner) for inner in value])
            case "$not":
                filters = value if isinstance(value, list) else [value]
                joined, parameters = _join(" or ", [self.condition(inner) for inner in filters])
                return sql.SQL("(not {})").format(joined), parameters
            case name if name.startswith("$"):
                raise ConfigurationError(
                    f"unknown filter operator {key!r}; between filters there are "
                    f"{', '.join(LOGICAL)}"
                )
        if isinstance(value, Mapping) and any(str(name).startswith("$") for name in value):
            return _join(
                " and ",
                [self._operator(key, str(name), operand) for name, operand in value.items()],
            )
        if isinstance(value, Mapping):
            require_no_bare_operators(key, value, FIELD_OPERATORS)
        return self._equals(key, value)

    def _operator(self, field: str, name: str, operand: Any) -> Condition:
        match name:
            case "$eq":
                return self._equals(field, operand)
            case "$ne":
                condition, parameters = self._equals(field, operand)
                return sql.SQL("(not {})").format(condition), parameters
            case "$in" | "$nin":
                if isinstance(operand, str) or not isinstance(operand, Sequence):
                    raise ConfigurationError(f"{name} takes a list")
                condition, parameters = self._among(field, operand)
                if name == "$nin":
                    condition = sql.SQL("(not {})").format(condition)
                return condition, parameters
            case "$between":
                pair = isinstance(operand, Sequence) and not isinstance(operand, str)
                if not pair or len(operand) != 2:
                    raise ConfigurationError("$between takes a lower and an upper bound")
                low, high = operand
                return _join(
                    " and ", [self._order(field, "$gte", low), self._order(field, "$lte", high)]
                )
            case "$contains":
                return self._contains(field, operand)
            case "$exists":
                word = sql.SQL("is not null" if operand else "is null")
                value, parameters = self._value(field)
                return sql.SQL("({} {})").format(value, word), parameters
            case _ if name in COMPARISONS:
                return self._order(field, name, operand)
            case _ if name in PATTERNS:
                value, parameters = self._text(field)
                condition = sql.SQL("coalesce({} {} %s, false)").format(value, PATTERNS[name])
                return condition, [*parameters, storable(str(operand))]
        raise ConfigurationError(
            f"unknown filter operator {name!r}; on a field there are {', '.join(FIELD_OPERATORS)}"
        )

    def _value(self, field: str) -> Condition:
        """A column's value, or a JSON field's as jsonb."""
        if field in self.columns:
            return sql.SQL("d.{}").format(sql.Identifier(field)), []
        if self.json_column is None:
            raise ConfigurationError(
                f"the table has no metadata column {field!r} and no JSON column to look into"
            )
        column = sql.Identifier(self.json_column)
        return sql.SQL("(d.{}::jsonb -> %s)").format(column), [storable(field)]

    def _text(self, field: str) -> Condition:
        value, parameters = self._value(field)
        if field in self.columns:
            return sql.SQL("{}::text").format(value), parameters
        return sql.SQL("({} #>> '{{}}')").format(value), parameters

    def _equals(self, field: str, wanted: Any) -> Condition:
        value, parameters = self._value(field)
        if field in self.columns:
            condition = sql.SQL("({} is not distinct from %s)").format(value)
            return condition, [*parameters, escaped(wanted)]
        text = _json(wanted)
        if text is None:
            return sql.SQL("false"), []
        condition = sql.SQL("(coalesce({}, 'null') = %s::jsonb)").format(value)
        return condition, [*parameters, text]

    def _among(self, field: str, wanted: Sequence[Any]) -> Condition:
        """One array, however many values: PostgreSQL looks them up by hash."""
        value, parameters = self._value(field)
        if field not in self.columns:
            texts = [text for one in wanted if (text := _json(one)) is not None]
            condition = sql.SQL("(coalesce({}, 'null') = any(%s::text[]::jsonb[]))").format(value)
            return condition, [*parameters, texts]
        known = [escaped(one) for one in wanted if one is not None]
        either: list[Condition] = [
            (sql.SQL("coalesce({} = any(%s), false)").format(value), [*parameters, known])
        ]
        if not known:
            either = [(sql.SQL("false"), [])]
        if len(known) < len(wanted):
            either.append((sql.SQL("{} is null").format(value), list(parameters)))
        return _join(" or ", either)

    def _contains(self, field: str, wanted: Any) -> Condition:
        """Whether an array holds a value, or each of several."""
        several = list(wanted) if isinstance(wanted, (list, tuple, set)) else [wanted]
        value, parameters = self._value(field)
        if field in self.columns:
            return sql.SQL("coalesce({} @> %s, false)").format(value), [
                *parameters,
                escaped(several),
            ]
        text = _json(several)
        condition = sql.SQL("coalesce(jsonb_typeof({0}) = 'array' and {0} @> %s::jsonb, false)")
        return condition.format(value), [*parameters, *parameters, text]

    def _order(self, field: str, name: str, operand: Any) -> Condition:
        value, parameters = self._value(field)
        if field in self.columns:
            condition = sql.SQL("coalesce({} {} %s, false)").format(value, COMPARISONS[name])
            return condition, [*parameters, escaped(operand)]
        if isinstance(operand, str):
            kind, cast, order = "string", sql.SQL(""), sql.SQL(' collate "C"')
        elif type(operand) in (int, float) and math.isfinite(operand):
            kind, cast, order = "number", sql.SQL("::numeric"), sql.SQL("")
        else:
            raise ConfigurationError(f"{name} compares numbers or strings in JSON metadata")
        condition = sql.SQL(
            "(case when jsonb_typeof({value}) = {kind}"
            " then ({value} #>> '{{}}'){cast}{order} {symbol} %s{cast} else false end)"
        ).format(
            value=value, kind=sql.Literal(kind), cast=cast, order=order, symbol=COMPARISONS[name]
        )
        rendered = storable(operand) if isinstance(operand, str) else repr(operand)
        return condition, [*parameters, *parameters, rendered]


def _json(value: Any) -> str | None:
    """JSON text of a value, as the metadata have it; None for what JSON cannot hold."""
    text, exact = to_jsonb({"": escaped(value)})
    if not exact:
        try:
            json.dumps(value, allow_nan=False)
        except TypeError as error:
            raise ConfigurationError(f"a filter of JSON metadata: {error}") from error
        except ValueError:
            return None  # not a number, or infinite
    return text[len('{"": ') : -1]


def require_no_bare_operators(
    field: str, value: Mapping[str, Any], operators: Iterable[str]
) -> None:
    """Raise ConfigurationError for `{"gte": 3}`, which would match nothing in silence."""
    bare = {name.removeprefix("$") for name in operators}
    if value and all(name in bare for name in value):
        name = next(iter(value))
        raise ConfigurationError(
            f"the filter of {field!r} has {name!r} without a $; did you mean {'$' + name!r}? "
            '({"$eq": {...}} compares with a dict of that form)'
        )


def _join(word: str, conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return sql.SQL("true"), []
    glue = sql.SQL(" or ") if word == " or " else sql.SQL(" and ")
    joined = glue.join(condition for condition, _ in conditions)
    return sql.SQL("({})").format(joined), [p for _, parameters in conditions for p in parameters]
