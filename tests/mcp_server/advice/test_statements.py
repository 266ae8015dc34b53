"""Texts of statements, which anybody may have sent, are read for what an index could serve."""

import random
import re
from pathlib import Path

import pytest

from mcp_server.advice.indexing.candidates import Samples, Table, candidates, with_values
from mcp_server.advice.indexing.statements import (
    Compared,
    NotReadError,
    as_query,
    read,
    tables_of,
)
from tests.examples import examples

CORPORA = Path(__file__).parent.parent / "nl2sql" / "database" / "guard"
TEXTS = [
    line
    for name in ("legitimate.sql", "hostile.sql")
    for line in (CORPORA / name).read_text(encoding="utf-8").splitlines()
    if line.strip()
]
ODD = ["(", ")", ",", "'", '"A"', "$1", " and ", " in ", " between ", " order by ", "::", " not "]
COLUMNS = frozenset("abcdxykn")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("select * from t where a = $1 and b > $2", "public.t (a, b)"),
        ("select * from t where $1 = a order by c desc, b", "public.t (a, c desc, b)"),
        ("select * from t where (a = any($1)) and (b is null)", "public.t (a)"),
        ("select * from t x where x.a between $1 and $2", "public.t (a)"),
        ("select * from u left join t using (a) where u.k = $1", "public.t (a)"),
        ("select * from u where exists (select from t where t.a = u.k)", "public.t (a)"),
        ("update t set b = $1 where a = $2", "public.t (a)"),
        ("insert into u select * from t where a in ($1 /*, ... */)", "public.t (a)"),
    ],
)
def test_the_likeliest_index_is_that_of_what_is_compared(text: str, place: str) -> None:
    query = as_query(text)
    assert query is not None
    table = Table("public", "t", frozenset("abc"), 1e5, 100, False, [])
    found = read(query, {("", "t"): frozenset("abc"), ("", "u"): frozenset("k")})
    ((_, asked),) = [each for each in found.asked if each[0] == ("", "t")]
    assert next(candidates(table, asked)).place == place


@pytest.mark.parametrize("text", ["select * from t where a <> $1 or b = $2", "select a from t"])
def test_what_no_index_can_serve_has_no_candidate(text: str) -> None:
    assert read(text, {("", "t"): frozenset("abc")}).asked == []


def test_parameters_get_values_of_the_columns_beside_them_and_nothing_else_changes() -> None:
    query = (
        "select '$1', a /* $2 */ from t where a = $1 and c = any($4) and b >= $2 and b < $3 "
        "and at > now() - interval $5 limit $6"
    )
    found = read(query, {("", "t"): frozenset("abc")})
    assert found.parameters == {
        1: ((("", "t"), "a"), Compared.EQUAL),
        2: ((("", "t"), "b"), Compared.FROM),
        3: ((("", "t"), "b"), Compared.TO),
        4: ((("", "t"), "c"), Compared.AMONG),
    }
    samples = {
        (("", "t"), "a"): Samples(["it's"]),
        (("", "t"), "b"): Samples(["0"], ["1", "49", "51", "99"]),
        (("", "t"), "c"): Samples(['a"\\b']),
    }
    assert with_values(query, found.parameters, samples, 0) == (
        "select '$1', a /* $2 */ from t where a = 'it''s' and c = any('{\"a\\\"\\\\b\"}') "
        "and b >= '49' and b < '51' and at > now() - interval '1 day' limit '10'"
    )


def test_no_text_ends_the_check_or_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A text may be of any kind, cut off anywhere, and hold a password."""
    chance = random.Random(7)
    texts = [*TEXTS, "alter role ada password 'hunter2'", "call f('hunter2')", "", "((", "$1"]
    for _ in range(examples(500)):
        parts = re.findall(r"\w+|\W", chance.choice(TEXTS))
        for _ in range(chance.randint(1, 4)):
            parts[chance.randrange(len(parts))] = chance.choice([*ODD, ""])
        texts.append("".join(parts))
    read_ones = 0
    for text in texts:
        try:
            if (query := as_query(text)) is not None:
                known = dict.fromkeys(tables_of(query), COLUMNS)
                found = read(query, known)
                places = [place for place, _ in found.parameters.values()]
                with_values(
                    query, found.parameters, {each: Samples(["1"], "1111") for each in places}, 0
                )
                read_ones += 1
        except NotReadError:
            continue
    assert read_ones > len(TEXTS) / 2
    assert caplog.records == []
