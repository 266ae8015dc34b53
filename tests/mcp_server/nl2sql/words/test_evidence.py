"""Evidence: words of the asker give way to words of the database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.words.evidence import worked_in


@pytest.mark.parametrize(
    ("evidence", "spoken"),
    [
        ("a regular refers to visits > 10", "whose visits is greater than 10"),
        ("regular means guests.visits >= 10", "whose visits is at least 10"),
        ("regulars are those with \"kind\" = 'R'", "whose kind is 'R'"),
        ("nothing of that; regular stands for kind <> 'new'", "whose kind is not 'new'"),
    ],
)
def test_a_condition_follows_the_question(evidence: str, spoken: str) -> None:
    assert worked_in("How many regulars are there?", evidence) == [
        f"How many are there {spoken}?",
        f"How many regulars are there {spoken}?",
    ]


def test_a_name_takes_the_place_of_the_words() -> None:
    assert worked_in("What is the total Take per region?", "take refers to amount") == [
        "What is the total amount per region?"
    ]


def test_longer_words_go_before_the_shorter_ones_in_them() -> None:
    evidence = "order means purchase\nlarge order means amount >= 500"
    assert (
        worked_in("list each large order", evidence)[0] == "list each whose amount is at least 500"
    )


@pytest.mark.parametrize("evidence", [None, "", "small means amount < 5", "no definition at all"])
def test_evidence_that_the_question_does_not_need_changes_nothing(evidence: str | None) -> None:
    assert worked_in("How many orders?", evidence) == ["How many orders?"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_taken(question: str, evidence: str) -> None:
    assert worked_in(question, evidence)
    assert worked_in(question, f"{evidence} refers to {question}")
