"""Values of every type as JSON: the pure rules, and the same against the server."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.rendering import BOX, clip, render, render_array

TEXT, INT8, JSONB, NUMERIC = 25, 20, 3802, 1700

FROM_THE_SERVER = [  # an expression, and what must come out
    ("true", True),
    ("32767::int2", 32767),
    ("9007199254740992::int8", 9007199254740992),
    ("9223372036854775807::int8", "9223372036854775807"),
    ("1.5::float4", 1.5),
    ("'NaN'::float8", "NaN"),
    ("'-Infinity'::float8", "-Infinity"),
    ("12.50::numeric(10,2)", 12.5),
    ("0.00::numeric(10,2)", 0),
    ("-7::numeric", -7),
    ("4.2000000000000000", 4.2),
    ("3.1415926535897932", "3.1415926535897932"),
    ("1e20::numeric", "100000000000000000000"),
    ("0.000000000000000000012", 1.2e-20),
    ("'NaN'::numeric", "NaN"),
    ("123456789012345678901234567890.123", "123456789012345678901234567890.123"),
    ("null::text", None),
    ("E'a\\tb \"c\" \\u00e9'", 'a\tb "c" é'),
    ("'\\x00ff'::bytea", "\\x00ff"),
    ("date '2024-02-29'", "2024-02-29"),
    ("date 'infinity'", "infinity"),
    ("date '0044-03-15 BC'", "0044-03-15 BC"),
    ("timestamptz '2024-01-01 12:00+02'", "2024-01-01T10:00:00+00:00"),
    ("timestamptz 'infinity'", "infinity"),
    ("timestamp '2024-01-01 12:00:00.5'", "2024-01-01T12:00:00.5"),
    ("time '24:00'", "24:00:00"),
    ("interval '1 day 2 hours'", "1 day 02:00:00"),
    ('\'{"a": [1, 2.5, null], "b": "c"}\'::jsonb', {"a": [1, 2.5, None], "b": "c"}),
    ("'{\"big\": 12345678901234567890}'::jsonb", {"big": "12345678901234567890"}),
    ("'null'::jsonb", "null"),
    ("null::jsonb", None),
    ("'\"null\"'::jsonb", '"null"'),
    ("array['null', null, '1']::jsonb[]", ["null", None, 1]),
    ('\'{"a": 1, "a": 2}\'::json', '{"a": 1, "a": 2}'),
    ('\'{"b": [{"a": 1, "a": 2}]}\'::json', '{"b": [{"a": 1, "a": 2}]}'),
    ("array[1, null, 3]", [1, None, 3]),
    ("array[['a', 'NULL'], ['c,d', null]]", [["a", "NULL"], ["c,d", None]]),
    ("'{}'::int[]", []),
    ("'[0:1]={7,8}'::int[]", [7, 8]),
    ("array['{\"k\": 1}'::jsonb]", [{"k": 1}]),
    ("array[1.10, 2.20]", [1.1, 2.2]),
    ("array['(1,1),(0,0)'::box, '(2,2),(1,1)'::box]", ["(1,1),(0,0)", "(2,2),(1,1)"]),
    ("'1 2 3'::oidvector", "1 2 3"),
    ("int4range(1, 10)", "[1,10)"),
    ("int4multirange(int4range(1, 3), int4range(5, 7))", "{[1,3),[5,7)}"),
    ("'[0.5,1,-2]'::vector", "[0.5,1,-2]"),
    ("'{1:1,3:2}/5'::sparsevec", "{1:1,3:2}/5"),
    ("'6f1e2a3c-0000-4000-8000-000000000000'::uuid", "6f1e2a3c-0000-4000-8000-000000000000"),
    ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
    ("row(1, 'two', null)", "(1,two,)"),
    ("array[row(1, 'a,b')]", ['(1,"a,b")']),
    ("'paid'::sales.state", "paid"),
    ("array['paid', 'sent']::sales.state[]", ["paid", "sent"]),
    ("b'101'", "101"),
    ("'(1,2)'::point", "(1,2)"),
    ("'cat & dog'::tsquery", "'cat' & 'dog'"),
    ("12.3::money", "$12.30"),
]


async def test_every_type_comes_out_as_json_without_losing_a_digit(tools: Any, shop: Any) -> None:
    sql = "select " + ", ".join(expression for expression, _ in FROM_THE_SERVER)
    answer = await tools("run_query", cluster="shop", sql=sql)
    got = dict(
        zip((expression for expression, _ in FROM_THE_SERVER), answer["rows"][0], strict=True)
    )
    assert got == dict(FROM_THE_SERVER)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


async def test_types_are_named_as_postgresql_names_them(tools: Any, shop: Any) -> None:
    sql = "select 1, 1.5::numeric(10,2), 'x'::varchar(5), null::sales.state[], '[1]'::vector(1)"
    answer = await tools("run_query", cluster="shop", sql=sql)
    assert answer["types"] == [
        "integer",
        "numeric(10,2)",
        "character varying(5)",
        "sales.state[]",
        "vector(1)",
    ]


def as_array_literal(value: Any) -> str:
    if isinstance(value, list):
        return "{" + ",".join(as_array_literal(each) for each in value) + "}"
    if value is None:
        return "NULL"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(st.lists(st.none() | st.text(), min_size=1), min_size=1))
def test_any_text_survives_an_array(value: list[list[str | None]]) -> None:
    assert render_array(as_array_literal(value), TEXT) == value


@given(st.integers())
def test_an_integer_is_a_number_only_where_a_double_holds_it(number: int) -> None:
    rendered = render(str(number), INT8)
    assert str(rendered) == str(number)
    assert isinstance(rendered, str) or int(float(rendered)) == number


@given(st.decimals(allow_nan=False, allow_infinity=False))
@pytest.mark.parametrize("type_oid", [NUMERIC, JSONB])
def test_a_decimal_number_reads_back_as_it_was_written(type_oid: int, number: Decimal) -> None:
    rendered = render(format(number, "f"), type_oid)
    assert Decimal(str(rendered)) == number


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner, max_size=2)))
def test_no_two_documents_read_alike(document: Any) -> None:
    text = json.dumps(document, ensure_ascii=False)
    others = [None, "null", text, json.dumps(text), f'"{document}"', [document]]
    rendered = {json.dumps(each): render(json.dumps(each), JSONB) for each in [document, *others]}
    assert len({json.dumps(each) for each in rendered.values()}) == len(rendered)
    assert None not in rendered.values()


def test_json_nested_deeper_than_python_parses_stays_text() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert render(deep, JSONB) == deep


@pytest.mark.parametrize(("text", "limit", "clipped"), [("abc", 3, "abc"), ("abcd", 3, "abc")])
def test_a_clipped_text_says_how_much_is_missing(text: str, limit: int, clipped: str) -> None:
    expected = clipped if clipped == text else f"{clipped}… [1 more characters]"
    assert clip(text, limit) == expected


def test_boxes_are_separated_by_semicolons() -> None:
    assert render_array("{(1,1),(0,0);(2,2),(1,1)}", BOX) == ["(1,1),(0,0)", "(2,2),(1,1)"]
