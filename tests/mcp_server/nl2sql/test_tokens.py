"""The words of a question and of a name."""

import pytest

from mcp_server.nl2sql.tokens import Mark, shape_of, tokenize, with_dates


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("before March 5th, 2020", "before 2020-03-05"),
        ("on the 5th of Mar 2020", "on 2020-03-05"),
        ("sold in February 2024?", "sold between 2024-02-01 and 2024-02-29?"),
        ("May I see 2020 rows", "May I see 2020 rows"),
    ],
)
def test_dates_written_out_take_the_form_in_which_they_are_kept(text: str, expected: str) -> None:
    assert with_dates(text) == expected


def test_names_with_underscores_and_codes_with_hyphens() -> None:
    assert [t.text for t in tokenize("first_name of 737-800")] == ["first", "name", "of", "737-800"]
    assert tokenize("737-800")[0].mark is Mark.WORD
    assert tokenize("7,370")[0].value == 7370


def test_the_shape_of_a_text_is_how_it_is_written() -> None:
    assert shape_of("AB-123/x") == "a-9/a"
    assert shape_of(" ada@example.com ") == "a@a.a"
