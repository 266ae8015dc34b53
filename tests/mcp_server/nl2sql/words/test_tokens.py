"""The words of a question and of a name."""

from mcp_server.nl2sql.words.tokens import Mark, shape_of, tokenize


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
