"""Metadata filters of the vector store, in langchain-postgres' language.

A field is a column of the table if it was named as one, else a field of the JSON column. Values
compare by type, as in `memory.store.filters`; a missing field equals None.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from memory.encoding.jsonsafe import to_jsonb
from memory.errors import ConfigurationError

Condition = tuple[sql.Composable, list[Any]]

COMPARISONS: dict[str, sql.SQL] = {
    "$lt": sql.SQL("<"),
    "$lte": sql.SQL("<="),
    "$gt": sql.SQL(">"),
    "$gte": sql.SQL(">="),
}
PATTERNS: dict[str, sql.SQL] = {"$like": sql.SQL("like"), "$ilike": sql.SQL("ilike")}
FIELD_OPERATORS = ("$eq", "$ne", *COMPARISONS, "$in", "$nin", "$between", "$exists", *PATTERNS)
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
        return _join(" and ", [self._entry(key, value) for key, value in filter.items()])

    def _entry(self, key: str, value: Any) -> Condition:
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
                condition, parameters = _join(" or ", [self._equals(field, o) for o in operand])
                if not operand:
                    condition = sql.SQL("false")
                if name == "$nin":
                    condition = sql.SQL("(not {})").format(condition)
                return condition, parameters
            case "$between":
                low, high = operand
                return _join(
                    " and ", [self._order(field, "$gte", low), self._order(field, "$lte", high)]
                )
            case "$exists":
                word = sql.SQL("is not null" if operand else "is null")
                value, parameters = self._value(field)
                return sql.SQL("({} {})").format(value, word), parameters
            case _ if name in COMPARISONS:
                return self._order(field, name, operand)
            case _ if name in PATTERNS:
                value, parameters = self._text(field)
                condition = sql.SQL("coalesce({} {} %s, false)").format(value, PATTERNS[name])
                return condition, [*parameters, str(operand)]
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
        return sql.SQL("(d.{}::jsonb -> %s)").format(column), [field]

    def _text(self, field: str) -> Condition:
        value, parameters = self._value(field)
        if field in self.columns:
            return sql.SQL("{}::text").format(value), parameters
        return sql.SQL("({} #>> '{{}}')").format(value), parameters

    def _equals(self, field: str, wanted: Any) -> Condition:
        value, parameters = self._value(field)
        if field in self.columns:
            return sql.SQL("({} is not distinct from %s)").format(value), [*parameters, wanted]
        text, _ = to_jsonb({"": wanted})
        if text == "{}":
            return sql.SQL("false"), []
        condition = sql.SQL("(coalesce({}, 'null') = %s::jsonb)").format(value)
        return condition, [*parameters, text[len('{"": ') : -1]]

    def _order(self, field: str, name: str, operand: Any) -> Condition:
        value, parameters = self._value(field)
        if field in self.columns:
            condition = sql.SQL("coalesce({} {} %s, false)").format(value, COMPARISONS[name])
            return condition, [*parameters, operand]
        if isinstance(operand, str):
            kind, cast, order = "string", sql.SQL(""), sql.SQL(' collate "C"')
        elif isinstance(operand, (int, float)) and math.isfinite(operand):
            kind, cast, order = "number", sql.SQL("::numeric"), sql.SQL("")
        else:
            raise ConfigurationError(f"{name} compares numbers or strings in JSON metadata")
        condition = sql.SQL(
            "(case when jsonb_typeof({value}) = {kind}"
            " then ({value} #>> '{{}}'){cast}{order} {symbol} %s{cast} else false end)"
        ).format(
            value=value, kind=sql.Literal(kind), cast=cast, order=order, symbol=COMPARISONS[name]
        )
        rendered = operand if isinstance(operand, str) else repr(operand)
        return condition, [*parameters, *parameters, rendered]


def _join(word: str, conditions: Sequence[Condition]) -> Condition:
    if not conditions:
        return sql.SQL("true"), []
    glue = sql.SQL(" or ") if word == " or " else sql.SQL(" and ")
    joined = glue.join(condition for condition, _ in conditions)
    return sql.SQL("({})").format(joined), [p for _, parameters in conditions for p in parameters]
