"""Every PostgreSQL value as JSON, without losing a digit.

The server sends text, which is exact and total: it exists for every type, extensions included.
Only what JSON has a word for becomes something other than that text.

======================  =========================================================
PostgreSQL              JSON
======================  =========================================================
boolean                 true, false
smallint .. bigint      number; text beyond 2^53, where readers lose digits
real, double precision  number; text for NaN, Infinity, -Infinity
numeric, money          text, so that every digit and the scale survive
json, jsonb             the document itself
arrays                  (nested) array of the above
everything else         PostgreSQL's own text: ISO dates and times, `\\x..` bytea,
                        `[1,10)` ranges, `[0.1,0.2]` vectors, uuid, enum, inet, ...
======================  =========================================================
"""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

Json = Any
"""What json.dumps takes with allow_nan=False."""

INTEGER_EXACT_IN_DOUBLE = 2**53

BOOL, INT8, INT2, INT4, OID, FLOAT4, FLOAT8, JSON, JSONB = 16, 20, 21, 23, 26, 700, 701, 114, 3802
BOX = 603  # the one type whose array separator is not a comma (pg_type.typdelim)


def render(text: str, type_oid: int, element_oid: int | None = None) -> Json:
    """One value's text form as JSON.

    type_oid: the column's type. element_oid: for an array, the type of its elements.
    """
    if element_oid is not None:
        return render_array(text, element_oid)
    converter = CONVERTERS.get(type_oid)
    return converter(text) if converter else text


def render_array(text: str, element_oid: int) -> Json:
    """An array literal as nested lists.

    Source: PostgreSQL documentation, 8.15.6 "Array Input and Output Syntax".
    """
    if text.startswith("["):  # explicit lower bounds, `[0:1]={7,8}`
        text = text.partition("=")[2]
    stack: list[list[Json]] = [[]]
    for token in _array_tokens(text, ";" if element_oid == BOX else ","):
        match token:
            case "{":
                nested: list[Json] = []
                stack[-1].append(nested)
                stack.append(nested)
            case "}":
                stack.pop()
            case (str(element), quoted):
                is_null = element.upper() == "NULL" and not quoted
                stack[-1].append(None if is_null else render(element, element_oid))
    return stack[0][0]


def _array_tokens(text: str, separator: str) -> Iterator[str | tuple[str, bool]]:
    """Braces as themselves, elements as (text, was quoted); separators are dropped."""
    position, end = 0, len(text)
    while position < end:
        character = text[position]
        if character in "{}":
            yield character
            position += 1
        elif character == separator:
            position += 1
        elif character == '"':
            position += 1
            element = []
            while text[position] != '"':
                if text[position] == "\\":
                    position += 1
                element.append(text[position])
                position += 1
            position += 1
            yield "".join(element), True
        else:
            start = position
            while text[position] not in (separator, "}"):
                position += 1
            yield text[start:position], False


def _boolean(text: str) -> Json:
    return text == "t"


def _integer(text: str) -> Json:
    number = int(text)
    return number if abs(number) <= INTEGER_EXACT_IN_DOUBLE else text


def _float(text: str) -> Json:
    number = float(text)
    return number if math.isfinite(number) else text


def _document(text: str) -> Json:
    """A json value. Integers and fractions that a double would change come back as text."""
    try:
        return json.loads(text, parse_int=_integer, parse_float=_exact_fraction)
    except RecursionError:  # PostgreSQL nests deeper than Python parses; its text is valid JSON
        return text


def _exact_fraction(text: str) -> Json:
    number = float(text)
    return number if math.isfinite(number) and len(text.strip("-0.")) <= 16 else text


CONVERTERS: dict[int, Callable[[str], Json]] = {
    BOOL: _boolean,
    INT2: _integer,
    INT4: _integer,
    INT8: _integer,
    OID: _integer,
    FLOAT4: _float,
    FLOAT8: _float,
    JSON: _document,
    JSONB: _document,
}


def clip(text: str, limit: int) -> str:
    """At most `limit` characters of a long text, and how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [{len(text) - limit} more characters]"
