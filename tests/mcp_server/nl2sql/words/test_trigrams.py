"""Texts that are nearly the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.words.trigrams import TrigramIndex, one_letter_off, similarity, trigrams

TEXTS = st.lists(st.text("abcdefg ", min_size=3, max_size=12), max_size=30)


def test_trigrams_are_those_of_pg_trgm() -> None:
    assert trigrams("Cat") == {"  c", " ca", "cat", "at "}


def test_the_index_finds_what_is_spelled_nearly_so_the_nearest_first() -> None:
    index = TrigramIndex(["san francisco", "san antonio", "santiago"])

    assert index.similar("San Franciso")[0][0] == "san francisco"


def test_the_index_finds_texts_that_contain_another() -> None:
    index = TrigramIndex(["12 harbour street, oslo", "7 hill road"])

    assert index.containing("Harbour Street") == ["12 harbour street, oslo"]
    assert index.containing("castle") == []


@given(TEXTS, st.text("abcdefg ", min_size=3, max_size=12))
def test_the_index_finds_what_a_look_at_every_text_finds(texts: list[str], text: str) -> None:
    found = {other for other, _ in TrigramIndex(texts).similar(text, 0.5)}

    assert found == {
        o for o in texts if trigrams(text) & trigrams(o) and similarity(text, o) >= 0.5
    }


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("harbor", "harbour", True),
        ("membres", "members", True),
        ("branch", "brunch", True),
        ("branch", "branch", False),
        ("county", "counting", False),
    ],
)
def test_one_letter_more_wrong_or_swapped_is_near(one: str, other: str, expected: bool) -> None:
    assert one_letter_off(one, other) is expected
