"""Names that are looked up are those that comparing every name would have found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.linking.matching import INITIALS, name_match
from mcp_server.nl2sql.linking.near import NearNames
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
