# ruff: noqa: E501 -- a question reads best beside its SQL
"""What rows come to, in sums of money; shares in percent; distributions."""

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.database.digest import digest
from tests.mcp_server.nl2sql.conftest import filled

MARINA = """
create table skipper (skipper_id int primary key, name text not null, port text not null);
create table chandler (chandler_id int primary key, name text not null, town text not null);
create table bill (bill_id int primary key, chandler_id int not null references chandler,
  billed_on date not null, paid_on date, amount numeric(8, 2) not null);
create table mooring_fee (fee_id int primary key, skipper_id int not null references skipper,
  kind text not null, fee_amt numeric(8, 2) not null, raised_on date not null, paid_on date);
create table donation (donation_id int primary key, skipper_id int not null references skipper,
  given_on date not null, total_value numeric(8, 2) not null);
create table refund (refund_id int primary key, skipper_id int not null references skipper,
  refunded_on date not null, net_amount numeric(8, 2), gross_amount numeric(8, 2));
create table trip (trip_id int primary key, skipper_id int not null references skipper,
  sailed_on date not null, price numeric(8, 2) not null, cancelled boolean not null, grade int not null);
create table fuel_charge (charge_id int primary key, litres int not null, unit_price numeric(8, 2) not null);
insert into skipper select i, (array['Ada', 'Bo', 'Cal', 'Dee'])[i], (array['Rye', 'Poole'])[1 + i % 2] from generate_series(1, 4) i;
insert into chandler select i, (array['Ropes Ltd', 'Sails Ltd', 'Paint Ltd', 'Tar Ltd'])[i], (array['Rye', 'Poole'])[1 + i % 2] from generate_series(1, 4) i;
insert into bill select i, 1 + (i * i) % 4, date '2024-11-05' + i * 23, case when i % 3 > 0 then date '2024-12-20' + i * 23 end, 100 + i * 7 from generate_series(1, 24) i;
insert into mooring_fee select i, 1 + i % 4, (array['berth', 'winter', 'lift'])[1 + i % 3], 50 + i * 3, date '2024-10-05' + i * 19, case when i % 4 > 0 then date '2025-01-20' + i * 19 end from generate_series(1, 30) i;
insert into donation select i, 1 + (i * i) % 4, date '2025-01-05' + i * 17, 10 + i from generate_series(1, 15) i;
insert into refund select i, 1 + i % 4, date '2025-01-05' + i * 17, 10 + i, 12 + i from generate_series(1, 12) i;
insert into trip select i, 1 + (i * i) % 4, date '2025-01-05' + i * 11, 40 + i, i % 3 = 0, 1 + i % 5 from generate_series(1, 30) i;
insert into fuel_charge select i, i * 10, 1.5 from generate_series(1, 8) i;
analyze;
"""


@pytest.fixture(scope="module")
def marina(module_dsn: str) -> str:
    return filled(module_dsn, MARINA)


@pytest.fixture(scope="module")
def translator(marina: str) -> Translator:
    return Translator(marina)


IN_2025 = "extract(year from {}) = 2025"
ANSWERS = [
    # what is money itself is summed
    ("total mooring fees by kind", "select kind, sum(fee_amt) from mooring_fee group by 1"),
    ("Total mooring fees paid in 2025, by kind", "select kind, sum(fee_amt) from mooring_fee where extract(year from paid_on) = 2025 group by 1"),
    ("the total of all donations", "select sum(total_value) from donation"),
    ("total donations per skipper", "select s.name, sum(total_value) from donation join skipper s using (skipper_id) group by s.skipper_id, s.name"),
    # totals of rows
    ("bill totals by quarter", "select date_trunc('quarter', billed_on), sum(amount) from bill group by 1"),
    ("Bill totals per chandler for 2025", "select c.name, sum(amount) from bill join chandler c using (chandler_id) where extract(year from billed_on) = 2025 group by c.chandler_id, c.name"),
    ("donations total", "select sum(total_value) from donation"),
    ("total amount of bills by chandler", "select c.name, sum(amount) from bill join chandler c using (chandler_id) group by c.chandler_id, c.name"),
    # how much, by what was done
    ("How much were we billed in 2025?", "select sum(amount) from bill where extract(year from billed_on) = 2025"),
    ("how much was donated in 2025", "select sum(total_value) from donation where extract(year from given_on) = 2025"),
    ("how much was paid in mooring fees in 2025", "select sum(fee_amt) from mooring_fee where extract(year from paid_on) = 2025"),
    ("How much did we collect in mooring fees per month?", "select date_trunc('month', paid_on), sum(fee_amt) from mooring_fee where paid_on is not null group by 1"),
    ("What did each chandler bill us in 2025?", "select c.name, sum(amount) from bill join chandler c using (chandler_id) where extract(year from billed_on) = 2025 group by c.chandler_id, c.name"),
    ("how much did each chandler invoice us", "select c.name, sum(amount) from bill join chandler c using (chandler_id) group by c.chandler_id, c.name"),
    ("how much has each skipper donated", "select s.name, sum(total_value) from donation join skipper s using (skipper_id) group by s.skipper_id, s.name"),
    ("how much are all the bills worth", "select sum(amount) from bill"),
    ("how much do the donations add up to", "select sum(total_value) from donation"),
    # those with whom the most was spent
    ("Which two chandlers did we spend the most with in 2025?", "select c.name from bill join chandler c using (chandler_id) where extract(year from billed_on) = 2025 group by c.chandler_id, c.name order by sum(amount) desc limit 2"),
    ("which chandler did we pay the least", "select c.name from bill join chandler c using (chandler_id) group by c.chandler_id, c.name order by sum(amount) limit 1"),
    ("spend per chandler", "select c.name, sum(amount) from bill join chandler c using (chandler_id) group by c.chandler_id, c.name"),
    ("how much did we spend with each chandler in 2025", "select c.name, sum(amount) from bill join chandler c using (chandler_id) where extract(year from billed_on) = 2025 group by c.chandler_id, c.name"),
    ("What did Ropes Ltd bill us in 2025?", "select sum(amount) from bill join chandler c using (chandler_id) where c.name = 'Ropes Ltd' and extract(year from billed_on) = 2025"),
    # how many stays a number, and so does the total of what is no money
    ("how many mooring fees were paid in 2025", "select count(*) from mooring_fee where extract(year from paid_on) = 2025"),
    ("total number of bills by chandler", "select c.name, count(*) from bill join chandler c using (chandler_id) group by c.chandler_id, c.name"),
    ("total trips by skipper", "select s.name, count(*) from trip join skipper s using (skipper_id) group by s.skipper_id, s.name"),
    # a share is in percent, whether one says so or not
    ("What share of trips was cancelled, in percent?", "select 100.0 * count(*) filter (where cancelled) / count(*) from trip"),
    ("share of cancelled trips as a percentage", "select 100.0 * count(*) filter (where cancelled) / count(*) from trip"),
    ("in %, what proportion of trips was cancelled", "select 100.0 * count(*) filter (where cancelled) / count(*) from trip"),
    ("cancellation rate of trips per skipper (in percent)", "select s.name, 100.0 * count(*) filter (where cancelled) / count(*) from trip join skipper s using (skipper_id) group by s.skipper_id, s.name"),
    # how many there are of each value
    ("grade distribution", "select grade, count(*) from trip group by 1"),
    ("show the distribution of trip grades in 2025", "select grade, count(*) from trip where extract(year from sailed_on) = 2025 group by 1"),
    ("the distribution of skippers across ports", "select port, count(*) from skipper group by 1"),
    ("mooring fee kind distribution", "select kind, count(*) from mooring_fee group by 1"),
]  # fmt: skip


@pytest.mark.parametrize(("question", "gold"), ANSWERS)
def test_it_is_answered(translator: Translator, marina: str, question: str, gold: str) -> None:
    found = translator.translate(question)
    assert found.sql is not None, (found.reason, found.candidates)
    with psycopg.connect(marina) as conn:
        told, expected = conn.execute(found.sql.encode()), conn.execute(gold.encode())
        assert digest(told.fetchall()) == digest(expected.fetchall()), found.sql


def test_of_two_amounts_both_readings_are_told(translator: Translator) -> None:
    found = translator.translate("total refunds in 2025")
    assert found.sql is None
    assert "net amount" in found.reason
    assert "gross amount" in found.reason
    assert len(found.candidates) == 2


def test_bills_may_be_counted_or_summed(translator: Translator) -> None:
    found = translator.translate("total bills by chandler")
    assert found.sql is None
    assert found.reason.startswith("it may mean")


def test_it_says_what_was_summed(translator: Translator) -> None:
    found = translator.translate("how much was donated in 2025")
    assert "the total of 'donation' is read as the sum of total_value" in found.assumptions


DECLINED = [
    "total rusty mooring fees by kind",  # which those are, nobody knows
    "how much did we spend on fuel charges",  # a unit price is no amount
    "how much is a skipper in Rye",  # no number says it
    "how much did each skipper sail",
    "the ratio of trips to donations, in percent",
    "average price in percent",
    "amount distribution of the rusty bills",
]


@pytest.mark.parametrize("question", DECLINED)
def test_it_is_declined(translator: Translator, question: str) -> None:
    found = translator.translate(question)
    assert found.sql is None, found.sql
