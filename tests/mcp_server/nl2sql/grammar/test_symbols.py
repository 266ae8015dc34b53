"""The row of symbols that a question is read from."""

import pytest

from mcp_server.nl2sql.grammar.symbols import symbols
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.words.tokens import tokenize


def code(text: str, linker: Linker) -> str:
    return "".join(symbol.kind for symbol in symbols(linker.prepare(tokenize(text)), linker))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the titles of all books", "cot"),
        ("how many members are in each branch", "#tGt"),
        ("members older than 30", "tOn"),
        ("members without any loan", "tXt"),
        ("books with at least 2 loans", "tHOnt"),
        ("members who are in Oslo or Bergen", "tTpv|v"),
        ("books that were loaned more than twice", "tTtOnx"),
        ("the name whose members have none", "cWtHX"),
        ("books sorted by price in descending order", "tRcZ"),
        ("pages of 200 or more", "con+"),
        ("pages of less than 20 or more than 90", "coOn|On"),
        ("the most common city", "Mc"),
        ("what is the one with the highest price", "HSc"),
    ],
)
def test_each_phrase_has_its_letter(linker: Linker, text: str, expected: str) -> None:
    assert code(text, linker) == expected


def test_a_span_that_names_a_table_and_a_column_of_it_is_two_symbols(linker: Linker) -> None:
    assert code("the names of members", linker) == "cot"
    assert code("all member names", linker) == "tc"


def test_a_plain_word_behind_a_column_that_holds_it_is_a_value(linker: Linker) -> None:
    assert code("branches in city oslo", linker) == "tpcv"


def test_words_that_say_what_to_do_are_left_out_and_what_follows_is_kept(linker: Linker) -> None:
    assert code("Please show me the price", linker) == "c"
    assert code("Name the members", linker) == "t"
