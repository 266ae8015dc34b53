"""Codes that a comment lists with what they mean, with a sign between or without."""

import pytest

from mcp_server.nl2sql.schema.legends import legend
from tests.mcp_server.nl2sql.profiles import table


@pytest.mark.parametrize(
    ("comment", "found"),
    [
        ("A = annual, C = casual", {"A": "annual", "C": "casual"}),
        ("State: A annual, C casual", {"A": "annual", "C": "casual"}),
        ("kind of pass (A annual, C casual)", {"A": "annual", "C": "casual"}),
        ("A annual; C one day only", {"A": "annual", "C": "one day only"}),
        ("A when paid by the year, C if not", {"A": "paid by the year", "C": "not"}),
        ("Kind of pass: A (annual), C", {"A": "annual"}),
        ("Kind of pass: A (annual), C (one day only)", {"A": "annual", "C": "one day only"}),
        # one code is no list, and a word that begins a sentence is no code
        ("A pass of a rider", {}),
        ("what riders pay, a fee in euros", {}),
        ("B blue, D dark", {}),
        ("fee (in euros), and more (much more)", {}),
        ("", {}),
    ],
)
def test_codes_are_those_that_the_column_holds(comment: str, found: dict[str, str]) -> None:
    column = table("pass", 4, kind=["A", "C"]).column("kind")
    assert column is not None
    column.comment = comment
    assert legend(column) == found
