"""What goes without saying is left out of a question, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.nl2sql.business.asides import without_asides


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("visits in the past 7 days, inclusive of today", "visits in the past 6 days"),
        ("visits in the last 7 days (including today's date)", "visits in the last 6 days"),
        ("visits in the past 1 days including today", "visits in the today"),
        ("visits in the past 3 months, inclusive of today", "visits in the past 3 months"),
        ("visits in the past 30 days, inclusive of 30 days ago?", "visits in the past 30 days?"),
        ("from May 1 to May 3 (inclusive of start and end dates)", "from May 1 to May 3"),
        ("hired between 2020 and 2021 (both inclusive)", "hired between 2020 and 2021"),
        ("visits last week (exclusive of the current week)", "visits last week"),
        ("visits in the previous ISO week not including the current week", "visits in last week"),
        ("each of the last 8 calendar weeks", "each of the last 8 weeks"),
        ("ids of guests, based on joining the guests and visits tables", "ids of guests"),
        ("the states and how many, starting from the top", "the states and how many"),
        ("Return the distinct list of guest ids", "Return the distinct guest ids"),
        ("visits split by town", "visits by town"),
        ("share of visits that were missed by month", "share of visits that were missed per month"),
        ("guests with at least 5 total visits", "guests with at least 5 visits"),
        ("number of visits by guests who live in Rome",
         "number of visits of guests who live in Rome"),
        ("total monthly fees", "monthly total fees"),
        ("guests starting from the best marks to the lowest",
         "guests sorted by marks from highest to lowest"),
        ("guests from the least visits to the most",
         "guests sorted by visits from lowest to highest"),
        ("marks received by guests in each year", "marks of guests in each year"),
        ("top 3 towns, showing the number of guests", "top 3 towns. Return the number of guests"),
    ],
)  # fmt: skip
def test_it_is_left_out_or_put_plainly(said: str, plain: str) -> None:
    assert without_asides(said) == plain


@pytest.mark.parametrize(
    "question",
    [
        "inclusiveness of towns",
        "visits in the last 8 weeks excluding the current week",
        "guests called 'both inclusive'",
        'visits of "the last 7 days, including today"',
        "the number of visits by town",
        "marks received by each guest",
        "towns from the largest area to the smallest one of them",
        "notes written by month end",
        "guests and their list of visits",
        "visits excluding the current guest",
    ],
)
def test_what_says_something_stays(question: str) -> None:
    assert without_asides(question) == question


@given(st.text(max_size=80))
def test_any_text_is_taken(question: str) -> None:
    without_asides(question)
