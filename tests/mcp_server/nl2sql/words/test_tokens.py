"""The words of a question and of a name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.words.tokens import Mark, lemma, normal_text, shape_of, tokenize


def test_names_with_underscores_and_codes_with_hyphens() -> None:
    assert [t.text for t in tokenize("first_name of 737-800")] == ["first", "name", "of", "737-800"]
    assert tokenize("737-800")[0].mark is Mark.WORD
    assert tokenize("7,370")[0].value == 7370


def test_the_shape_of_a_text_is_how_it_is_written() -> None:
    assert shape_of("AB-123/x") == "a-9/a"
    assert shape_of(" ada@example.com ") == "a@a.a"


def test_a_letter_behind_a_number_scales_it() -> None:
    assert [token.value for token in tokenize("100k 1.5M 2,000k")] == [
        100_000,
        1_500_000,
        2_000_000,
    ]


def test_signs_that_end_a_name_are_part_of_it() -> None:
    assert [token.text for token in tokenize("type A+ or O- in C++?")] == [
        "type", "A+", "or", "O-", "in", "C++", "?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("several", "one"),
    [("shelves", "shelf"), ("Halves", "half"), ("diagnoses", "diagnosis"), ("crises", "crisis"),
     ("indices", "index"), ("criteria", "criterion"), ("geese", "goose"), ("sleeves", "sleeve"),
     ("olives", "olive"), ("databases", "database")],
)  # fmt: skip
def test_a_noun_is_one_word_in_the_singular_and_in_the_plural(several: str, one: str) -> None:
    assert lemma(several) == lemma(one)


@pytest.mark.parametrize(
    ("written", "lemmas"),
    [
        ("price>10", ["price", ">", "10"]),
        ("a >= 1, b => 2, c≥3", ["a", ">=", "1", ",", "b", ">=", "2", ",", "c", ">=", "3"]),
        ("a <> 1 b != 2 c ≠ 3", ["a", "!=", "1", "b", "!=", "2", "c", "!=", "3"]),
        ("a == 1", ["a", "=", "1"]),
    ],
)
def test_signs_of_comparison_are_tokens_however_they_are_written(
    written: str, lemmas: list[str]
) -> None:
    assert [token.lemma for token in tokenize(written)] == lemmas


def test_numbers_keep_their_sign_and_their_point() -> None:
    assert [token.value for token in tokenize("-5 .5 −3.25 ٤٢ 4+")][:4] == [-5, 0.5, -3.25, 42]
    assert [token.value for token in tokenize("10-20")] == [None]


@pytest.mark.parametrize(
    "word", ["東京", "Москва", "العربية", "हिन्दी", "ไทย", "Ελλάδα", "עברית", "한국어", "Ålesund"]
)
def test_words_of_every_script_are_whole(word: str) -> None:
    taken_apart = unicodedata.normalize("NFD", word)

    assert [token.text for token in tokenize(f"towns called {taken_apart}?")][2:] == [word, "?"]
    assert normal_text(taken_apart) == normal_text(word)


@given(st.text(st.characters(categories=["L", "Mn"]), min_size=1))
def test_no_letter_is_lost(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)

    assert "".join(token.text for token in tokenize(composed)) == composed
