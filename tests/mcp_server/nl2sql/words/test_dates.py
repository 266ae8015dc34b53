"""Dates as questions write them."""

import datetime

import pytest

from mcp_server.nl2sql.words.dates import with_dates
from mcp_server.nl2sql.words.spans import with_both, with_years

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
        ("loans since yesterday", "loans since 2024-03-12"),
        ("loans since last month", "loans since 2024-02-01"),
        ("loans before this year", "loans before 2024-01-01"),
        ("loans after last Friday", "loans since 2024-03-09"),
        ("loans due tomorrow", "loans due on 2024-03-14"),
        ("loans due next week", "loans due between 2024-03-18 and 2024-03-24"),
        ("loans two years ago", "loans between 2022-01-01 and 2022-12-31"),
        ("loans from more than five years ago", "loans before 2019-03-13"),
        ("loans older than 30 days", "loans before 2024-02-12"),
        ("loans between two and five years ago", "loans between 2019-03-13 and 2022-03-13"),
        (
            "loans in the last 3 weeks, excluding the current week",
            "loans between 2024-02-19 and 2024-03-10",
        ),
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


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("loans before March 2001", "loans before 2001-03-01"),
        ("loans after March 2001", "loans since 2001-04-01"),
        ("loans until May 2020", "loans before 2020-06-01"),
        ("loans between May and July 2010", "loans between 2010-05-01 and 2010-07-31"),
        (
            "loans from March 2017 to the end of June 2018",
            "loans between 2017-03-01 and 2018-06-30",
        ),
        ("loans in the week of 5 May 2021", "loans between 2021-05-03 and 2021-05-09"),
        ("loans in the first half of 2019", "loans between 2019-01-01 and 2019-06-30"),
        ("loans in the last quarter of 2020", "loans between 2020-10-01 and 2020-12-31"),
    ],
)
def test_stretches_of_time_become_days(said: str, meant: str) -> None:
    assert with_dates(said, TODAY) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("made in the 1950s", "made between 1950 and 1959"),
        ("opened in the 90s", "opened between 1990 and 1999"),
        ("opened in the twenties", "opened between 2020 and 2029"),
        ("born in the 19th century", "born between 1801 and 1900"),
        ("made in the 1800s", "made in the 1800s"),
        ("calls of 30s", "calls of 30s"),
    ],
)
def test_decades_and_centuries_are_years(said: str, meant: str) -> None:
    assert with_years(said, TODAY) == meant


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("loans in 2022 versus 2021", "loans in 2022 versus loans in 2021"),
        (
            "How did the total price this month compare to last month?",
            "total price this month versus total price last month",
        ),
        ("done versus open loans", "done versus open loans"),
    ],
)
def test_what_is_compared_is_said_of_both_periods(said: str, meant: str) -> None:
    assert with_both(said) == meant
