"""Patterns over kinds of symbols: what each name of the alphabet builds."""

import re

import pytest

from mcp_server.nl2sql.grammar.alphabet import kinds
from mcp_server.nl2sql.grammar.alphabet.kinds import (
    AMOUNT,
    COL,
    COMMA,
    END,
    FULL_STOP,
    NOT,
    NOTHING,
    OR,
    OR_MORE,
    TAB,
    THAN,
    VAL,
    Pattern,
    SymbolKind,
    before,
    either,
    not_before,
)
from mcp_server.nl2sql.grammar.alphabet.vocabulary import CUES

KINDS = {name: kind for name, kind in vars(kinds).items() if isinstance(kind, SymbolKind)}


def matched(pattern: Pattern, row: str) -> str | None:
    found = re.match(pattern.regex, row)
    return None if found is None else found[0]


def test_no_two_kinds_have_the_same_letter_and_every_cue_has_a_kind() -> None:
    letters = [kind.letter for kind in KINDS.values()]
    assert len(set(letters)) == len(letters)
    assert {len(letter) for letter in letters} == {1}
    assert {cue.kind for cue in CUES.values()} <= set(letters)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_matches_its_own_letter_and_no_other(name: str) -> None:
    kind = KINDS[name]
    for other in KINDS.values():
        alike = other is kind
        assert (matched(kind, other.letter) == other.letter) is alike
        assert (other.letter in kind) is alike
        assert (matched(kind | COMMA, other.letter) is not None) is (alike or other is COMMA)
    assert "" not in kind


def test_a_group_is_found_by_its_name() -> None:
    pattern = COL("c") + NOT("x").maybe + THAN("o") + AMOUNT("n")
    found = re.match(pattern.regex, "cXOd")
    assert found is not None
    assert found.groupdict() == {"c": "c", "x": "X", "o": "O", "n": "d"}
    without = re.match(pattern.regex, "bOn")
    assert without is not None
    assert without["x"] is None


@pytest.mark.parametrize(
    ("pattern", "row", "expected"),
    [
        ((COL + OR).some, "c|c|,", "c|c|"),
        ((COL + OR).any, "t", ""),
        (COL.some, "cbwzt", "cbwz"),
        (VAL + (COMMA + VAL).maybe, "v,v,v", "v,v"),
        (AMOUNT + OR_MORE, "n+", "n+"),
        (COL + NOTHING("more") + TAB, "ct", "ct"),
        (either(COL + TAB, COL), "cc", "c"),
        (COL + before(TAB), "ct", "c"),
        (COL + before(TAB), "cc", None),
        (COL + not_before(TAB), "ct", None),
        (COL + not_before(TAB), "c", "c"),
        (COL + END, "c", "c"),
        (COL + END, "c.", "c"),
        (COL + END, "cv", None),
        (FULL_STOP, "c", None),
        (either(COL("c"), TAB).maybe("m") + THAN, "tO", "tO"),
    ],
)
def test_a_pattern_matches_the_row_that_it_says(
    pattern: Pattern, row: str, expected: str | None
) -> None:
    assert matched(pattern, row) == expected
