"""Dates as questions write them."""

import datetime

import pytest

from mcp_server.nl2sql.words.dates import with_dates

TODAY = datetime.date(2024, 3, 13)  # a Wednesday


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
    assert with_dates(text, TODAY) == expected


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("loans in the last 30 days", "loans since 2024-02-12"),
        ("loans of the past two weeks", "loans since 2024-02-28"),
        ("members who joined within the last month", "members who joined since 2024-02-13"),
        ("loans last month", "loans between 2024-02-01 and 2024-02-29"),
        ("loans this week", "loans between 2024-03-11 and 2024-03-17"),
        ("loans last week", "loans between 2024-03-04 and 2024-03-10"),
        ("loans from last quarter", "loans between 2023-10-01 and 2023-12-31"),
        ("loans in this year", "loans between 2024-01-01 and 2024-12-31"),
        ("loans made yesterday", "loans made on 2024-03-12"),
        ("the last 3 loans", "the last 3 loans"),
        ("loans of the previous month", "loans between 2024-02-01 and 2024-02-29"),
        ("loans in the current quarter", "loans between 2024-01-01 and 2024-03-31"),
        ("loans in Q2 2023", "loans between 2023-04-01 and 2023-06-30"),
        ("loans in the fourth quarter of 2023", "loans between 2023-10-01 and 2023-12-31"),
        ("loans more than 30 days ago", "loans before 2024-02-12"),
        ("loans less than two weeks ago", "loans since 2024-02-28"),
        ("loans due in the next 7 days", "loans due between 2024-03-13 and 2024-03-20"),
        ("loans so far this year", "loans since 2024-01-01"),
        ("loans this month so far", "loans since 2024-03-01"),
        ("loans year to date", "loans since 2024-01-01"),
    ],
)
def test_periods_are_counted_from_today(said: str, meant: str) -> None:
    assert with_dates(said, TODAY) == meant


@pytest.mark.parametrize(
    "said",
    [
        "more than 5000 years ago",
        "in the next 9000 years",
        "within the last 99999999999999999999 days",
        "in Q1 0000",
        "in May 0000",
    ],
)
def test_what_no_calendar_has_stays_as_it_is(said: str) -> None:
    assert with_dates(f"orders {said}", datetime.date(2026, 5, 5)) == f"orders {said}"
