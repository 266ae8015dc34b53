r"""Every PostgreSQL value as JSON, without losing a digit.

The server sends text, which is exact and total: it exists for every type, extensions included.
What JSON has a word for is written as PostgreSQL's own `to_json` writes it, except that a number
which readers of JSON would round (they hold doubles) stays text.

======================  =========================================================
PostgreSQL              JSON
======================  =========================================================
boolean                 true, false
smallint .. bigint      number; text beyond 2^53
numeric                 number up to 15 significant digits; text beyond, and NaN
real, double precision  number; text for NaN, Infinity, -Infinity
timestamp, timestamptz  text in ISO 8601: 2024-01-31T10:00:00+00:00
json, jsonb             the document itself; PostgreSQL's own text where a key stands twice,
                        where it is the null of JSON, and where a text would read like one of these
arrays                  (nested) array of the above
everything else         PostgreSQL's own text: dates, `\x..` bytea, `[1,10)` ranges,
                        `[0.1,0.2]` vectors, money, interval, uuid, enum, inet, ...
null                    null
over 32 768 characters  text, clipped
======================  =========================================================
"""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

Json = Any
"""What json.dumps takes with allow_nan=False."""

CELL_CHARACTERS = 32_768
"""A longer value is clipped."""

INTEGER_EXACT_IN_DOUBLE = 2**53
DIGITS_EXACT_IN_DOUBLE = 15

BOOL, INT8, INT2, INT4, OID, FLOAT4, FLOAT8, JSON, JSONB = 16, 20, 21, 23, 26, 700, 701, 114, 3802
NUMERIC, TIMESTAMP, TIMESTAMPTZ = 1700, 1114, 1184
BOX = 603  # the one type whose array separator is not a comma (pg_type.typdelim)


def render_cell(text: str | None, type_oid: int, element_oid: int | None = None) -> Json:
    """One cell of a result as JSON: `render`, but null for None, and a long value is clipped."""
    if text is None:
        return None
    if len(text) > CELL_CHARACTERS:
        return clip(text, CELL_CHARACTERS)
    return render(text, type_oid, element_oid)


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
        value = json.loads(
            text, parse_int=_integer, parse_float=_fraction, object_pairs_hook=_members
        )
    except (RecursionError, RepeatedKeyError):  # PostgreSQL nests deeper than Python parses
        return text
    if value is None or (
        isinstance(value, str) and (value == "null" or value[:1] in READS_AS_JSON)
    ):
        return text.strip()
    return value


def _members(pairs: list[tuple[str, Json]]) -> Json:
    """An object, whose keys `json` may have twice. Raises RepeatedKeyError then."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedKeyError
    return found


def _number(text: str) -> Json:
    """A decimal number; as a double where that reads back as the same number."""
    if not PLAIN_NUMBER.fullmatch(text):
        return text  # NaN, Infinity, or with an exponent as json may have it
    digits = text.lstrip("-").strip("0" if "." in text else "").replace(".", "").lstrip("0")
    if len(digits) > DIGITS_EXACT_IN_DOUBLE:
        return text
    return float(text) if "." in text else int(text)


def _fraction(text: str) -> Json:
    """A json number with a point or an exponent."""
    return float(text) if "e" in text.lower() and math.isfinite(float(text)) else _number(text)


def _iso8601(text: str) -> Json:
    """PostgreSQL separates date and time by a space, and leaves the minutes of an offset out."""
    found = DATE_AND_TIME.fullmatch(text)
    if not found:
        return text  # infinity, or before Christ
    day, time, hours, minutes = found.groups()
    return f"{day}T{time}" + (f"{hours}{minutes or ':00'}" if hours else "")


class RepeatedKeyError(ValueError):
    """A document has a key twice, and an object of Python would lose one. Its text is sent then."""


READS_AS_JSON = ("null", '"', "{", "[")

PLAIN_NUMBER = re.compile(r"-?\d+(\.\d+)?")
DATE_AND_TIME = re.compile(r"(\d{4,}-\d\d-\d\d) ([\d:.]+)(?:([+-]\d\d)(:\d\d)?)?")

CONVERTERS: dict[int, Callable[[str], Json]] = {
    BOOL: _boolean,
    INT2: _integer,
    INT4: _integer,
    INT8: _integer,
    OID: _integer,
    FLOAT4: _float,
    FLOAT8: _float,
    NUMERIC: _number,
    TIMESTAMP: _iso8601,
    TIMESTAMPTZ: _iso8601,
    JSON: _document,
    JSONB: _document,
}


def as_text(value: Json, *, array: bool = False, of_json: bool = False) -> str | None:
    """A value of JSON as PostgreSQL reads it; None for NULL.

    array: whether an array is wanted where the value is a list. of_json: whether one of documents.
    """
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list() if array:
            return _array_literal(value, of_json=of_json)
        case list() | dict():
            return json.dumps(value)
        case _:
            return str(value)


def _array_literal(value: list[Json], *, of_json: bool) -> str:
    return "{" + ",".join(_element(each, of_json=of_json) for each in value) + "}"


def _element(value: Json, *, of_json: bool) -> str:
    if isinstance(value, list) and not of_json:
        return _array_literal(value, of_json=False)
    text = json.dumps(value) if of_json and value is not None else as_text(value)
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def clip(text: str, limit: int) -> str:
    """At most `limit` characters of a long text, and how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [{len(text) - limit} more characters]"
