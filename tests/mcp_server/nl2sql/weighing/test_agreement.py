"""When two results, or two queries, say the same; and what that is worth."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.database.digest import digest
from mcp_server.nl2sql.weighing.agreement import Likeness, likeness, same_text
from mcp_server.nl2sql.weighing.trust import MOST, Evidence, Lead, trust

ROWS = [("Rome", 1), ("Oslo", 2), ("Lima", 2)]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([(1, "Rome"), (2, "Oslo"), (2, "Lima")], Likeness.SAME),
        ([("Oslo",), ("Rome",), ("Lima",)], Likeness.EXTRA),
        ([("Rome", 1, 7), ("Oslo", 2, 7), ("Lima", 2, 7)], Likeness.FEWER),
        ([*ROWS, ("Rome", 1)], Likeness.REPEATED),
        ([("Rome", 1), ("Oslo", 2)], Likeness.OTHER),
        ([("Rome", 2), ("Oslo", 1), ("Lima", 2)], Likeness.OTHER),
        ([], Likeness.OTHER),
    ],
)
def test_results_are_alike_but_for_columns_and_repeated_rows(
    other: list[tuple[object, ...]], expected: Likeness
) -> None:
    assert likeness(ROWS, other) is expected


ROWS_OF_TWO = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("ab")), min_size=1, max_size=6)


@given(ROWS_OF_TWO, st.randoms())
def test_the_order_of_rows_and_columns_does_not_matter(
    rows: list[tuple[int, str]], by: random.Random
) -> None:
    mixed = [row[::-1] for row in rows]
    by.shuffle(mixed)
    assert likeness(rows, mixed) is Likeness.SAME
    assert digest(rows) == digest(mixed)


@given(ROWS_OF_TWO, ROWS_OF_TWO)
def test_likeness_is_the_same_both_ways_round(
    rows: list[tuple[int, str]], other: list[tuple[int, str]]
) -> None:
    assert likeness(rows, other) is likeness(other, rows)


def test_queries_are_alike_but_for_aliases_and_the_order_of_conditions() -> None:
    one = "select c.name from customer as c where c.city = 'Rome' and c.id > 3"
    other = "SELECT customer.name FROM customer WHERE customer.id > 3 AND customer.city = 'Rome'"
    assert same_text(one, other)
    assert not same_text(one, "select c.name from customer as c where c.city = 'Rome'")
    assert not same_text(one, "no query at all (")


def test_agreement_raises_trust_and_disagreement_lowers_it_the_more_the_surer_the_witness() -> None:
    def of(like: Likeness | None, sure: float, **others: object) -> float:
        return trust(Evidence(Lead.MODEL, sure, like, **others))  # type: ignore[arg-type]

    alone = of(None, 0.0)
    assert of(Likeness.SAME, 0.9) > of(Likeness.SAME, 0.7) > alone
    assert of(Likeness.OTHER, 0.95) < of(Likeness.OTHER, 0.7) < alone
    assert of(Likeness.SAME, 0.9, same_text=True) > of(Likeness.SAME, 0.9)
    assert of(None, 0.0, nothing=True) < alone
    assert of(None, 0.0, refused=True) < alone
    assert of(None, 0.0, share=0.4) < alone
    assert of(Likeness.SAME, 1.0, same_text=True) <= MOST
