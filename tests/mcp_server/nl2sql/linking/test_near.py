"""Names that are looked up, and scored once for many, are as if every one had been compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.linking import matching
from mcp_server.nl2sql.linking.matching import INITIALS, ColumnScores, column_score, name_match
from mcp_server.nl2sql.linking.near import NearNames
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.lexicon import HOW, MEASURED, related, synonyms

_WORDS = """
airport airline author book buyer city client country customer date department doctor earn
employee first flight invoice last month name number office order pay population price
product publish publisher quantity revenue salary sale ship shop source staff student
teacher town vendor year of the in
"""
_NAMES = """
fname lname cname mpg dept qty emp yr ordno custid sourceairport airportname
publicationdate shopname birthplace totalprice orderdate published
"""
WORDS = _WORDS.split()
SAID = sorted({*WORDS, *INITIALS, *(HOW + each for each in MEASURED)})
NAMED = sorted(
    {
        *WORDS,
        *(other for word in WORDS for other in (*synonyms(word), *related(word))),
        *(other for others in MEASURED.values() for other in others),
        *_NAMES.split(),
    }
)

said = st.lists(st.sampled_from(SAID), min_size=1, max_size=3).map(tuple)
names = st.lists(st.lists(st.sampled_from(NAMED), min_size=1, max_size=3).map(tuple), max_size=12)


@given(said, names)
def test_what_is_alike_is_near(words: tuple[str, ...], all_names: list[tuple[str, ...]]) -> None:
    near = NearNames((name, name) for name in all_names)(words)
    alike = [name for name in all_names if name_match(words, name)]
    assert [name for name in near if name_match(words, name)] == alike


@pytest.mark.parametrize("rest", [(), ("name",), ("first", "year")])
@pytest.mark.parametrize("word", SAID)
def test_no_word_misses_a_name(word: str, rest: tuple[str, ...]) -> None:
    words, called = (word, *rest), [*((name,) for name in NAMED), *((n, *rest) for n in NAMED)]
    near = NearNames((name, name) for name in called)(words)
    assert {name for name in called if name_match(words, name)} <= {*near}


def test_most_of_a_large_schema_is_not_near() -> None:
    near = NearNames((name, [name]) for name in NAMED)(("airport",))
    assert "airport" in near
    assert len(near) < len(NAMED) / 4


called = st.lists(st.sampled_from([*NAMED, "balance", "dailybalance", "id", "kg"]), max_size=3)


@st.composite
def columns(draw: st.DrawFn) -> list[Column]:
    """Columns of several tables, many of them called the same."""
    tables = draw(st.lists(st.tuples(called.map(tuple), st.booleans()), min_size=1, max_size=8))
    names = draw(st.lists(called.filter(bool).map(tuple), min_size=1, max_size=4))
    made = []
    for words, view in tables:
        table = Table("s", "t", view=view, words=words)
        for name in names:
            aliases = draw(st.sampled_from([(), ((draw(st.sampled_from(NAMED)),),)]))
            comment = draw(st.sampled_from(["", "", "", " ".join(name[::-1])]))
            kind = draw(st.sampled_from([Kind.NUMBER, Kind.TEXT, Kind.DATE, Kind.BOOLEAN]))
            made.append(Column(table, "c", "", kind, comment=comment, words=name, aliases=aliases))
    return made


@given(st.one_of(said, said.map(lambda words: (*words, "balance"))), columns())
def test_columns_that_are_called_the_same_are_scored_as_each_by_itself(
    words: tuple[str, ...], made: list[Column]
) -> None:
    assert ColumnScores(made)(words, made) == [(c, column_score(words, c)) for c in made]


def test_columns_that_are_called_the_same_are_compared_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[Column] = []

    def watched(words: tuple[str, ...], column: Column) -> float:
        compared.append(column)
        return column_score(words, column)

    monkeypatch.setattr(matching, "column_score", watched)
    tables = [Table("s", word, words=(word,)) for word in ("book", "ship", "staff", "vendor")]
    made = [Column(table, "c", "", Kind.NUMBER, words=("price",)) for table in tables]
    scored = ColumnScores(made)(("book", "price"), made)
    assert [column.table.name for column in compared] == ["book", "ship"]
    assert [score for _, score in scored] == [1, 0, 0, 0]
