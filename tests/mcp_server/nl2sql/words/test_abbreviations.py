"""What short names stand for, and what they do not."""

import pytest

from mcp_server.nl2sql.words.abbreviations import USUAL, abbreviates
from mcp_server.nl2sql.words.tokens import identifier_words


@pytest.mark.parametrize(
    ("short", "word"),
    [
        ("vchr", "voucher"), ("rte", "route"), ("crs", "course"), ("hr", "hour"),
        ("amt", "amount"), ("cd", "code"), ("ky", "key"), ("brnch", "branch"),
    ],
)  # fmt: skip
def test_a_word_without_its_vowels_is_the_word(short: str, word: str) -> None:
    assert abbreviates(short, word)


@pytest.mark.parametrize(
    ("short", "word"),
    [
        # names of their own
        ("id", "island"), ("id", "idea"), ("cd", "card"), ("end", "earned"), ("age", "argue"),
        ("usd", "unassigned"), ("pct", "participant"), ("amt", "adjustment"), ("hr", "higher"),
        # other beginnings, ends and orders of letters
        ("vchr", "archiver"), ("crs", "course room"), ("brn", "branch"), ("rte", "tree"),
        # a word is not short for itself, nor is a longer one for a shorter
        ("code", "code"), ("voucher", "vchr"), ("ct", "cabinet"), ("", "word"), ("x", "xray"),
    ],
)  # fmt: skip
def test_other_words_are_not(short: str, word: str) -> None:
    assert not abbreviates(short, word)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ship_dt", ("ship", "date")),
        ("custAddr", ("customer", "address")),
        ("stat", ("status",)),
        ("player_stats", ("player", "stat")),
        ("caps", ("cap",)),
        ("id", ("id",)),
    ],
)
def test_what_is_usually_short_is_written_out_but_not_in_the_plural(
    name: str, words: tuple[str, ...]
) -> None:
    assert identifier_words(name) == words


def test_each_is_short_for_one_word() -> None:
    assert all(len(short) < len(word) for short, word in USUAL.items())
