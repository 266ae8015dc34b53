"""A query without a part for what is asked is never the answer, however likely it looks."""

from collections.abc import Iterator

import pytest

from mcp_server.nl2sql import Translator
from tests.mcp_server.nl2sql.conftest import filled

BREWS = """
create table office (office_id int primary key, town text not null);
create table holder (holder_id int primary key, holder_name text not null,
  customer_since date not null, kind text not null, office_id int not null references office);
create table brew (brew_id int primary key, brewed_on date not null,
  volume_hl numeric(6, 1) not null, office_id int not null references office,
  price_per_keg numeric(6, 2) not null, tax numeric(6, 2) not null);
insert into office values (1, 'Hamar'), (2, 'Moss');
insert into holder values (1, 'Ann', '2020-01-01', 'business', 1),
  (2, 'Bob', '2021-01-01', 'private', 1), (3, 'Cy', '2022-03-04', 'business', 2);
insert into brew values (1, '2024-01-01', 10, 1, 50, 5), (2, '2024-02-01', 12, 2, 60, 6),
  (3, '2025-02-01', 15, 1, 70, 7);
analyze;
"""


@pytest.fixture(scope="module")
def translator(module_dsn: str) -> Iterator[Translator]:
    with Translator(filled(module_dsn, BREWS)) as made:
        yield made


@pytest.mark.parametrize(
    "question",
    [
        # customers are no days
        "list all business customers in Hamar",
        # each volume is no group of years; no groups at all
        "volume brewed per year",
        "brews per office town",
        # nobody knows who that is
        "how many brews did it make",
        "when did they brew",
        # a noun of which nothing is known
        "the holders in the cellar",
        # the measure of rows in their place
        "which brews had an average volume higher than the average price",
    ],
)
def test_what_has_no_part_for_it_is_declined(translator: Translator, question: str) -> None:
    found = translator.translate(question)
    assert found.sql is None, found.sql


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("customer since of Ann", "SELECT customer_since"),
        ("total volume per year", "SUM(volume_hl)"),
        ("number of brews per volume", "GROUP BY volume_hl"),
        ("price per keg of brew 1", "SELECT price_per_keg"),
        ("average price per keg per year", "AVG(price_per_keg)"),
        ("what is the highest price per keg", "MAX(price_per_keg)"),
        ("tax per hectolitre of every brew, that is tax divided by volume", "NULLIF(volume_hl"),
    ],
)
def test_what_has_one_is_answered(translator: Translator, question: str, part: str) -> None:
    found = translator.translate(question)
    assert part in (found.sql or ""), found
