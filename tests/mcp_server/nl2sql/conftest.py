"""A small database to ask questions of."""

import psycopg
import pytest

SHOP = """
create table customer (id int primary key, name text not null, city text, joined date);
create table purchase (
  id int primary key, customer_id int not null references customer, amount numeric(8, 2),
  placed timestamptz, paid boolean);
comment on table purchase is 'one order of a customer';
insert into customer
  select i, 'customer ' || i, (array['Rome', 'Oslo', 'Lima'])[1 + i % 3], date '2020-01-01' + i
  from generate_series(1, 30) i;
insert into purchase
  select i, 1 + i % 20, 10 + i, timestamptz '2024-01-01 12:00Z' + i * interval '1 day', i % 2 = 0
  from generate_series(1, 60) i;
analyze;
"""


def filled(dsn: str, content: str) -> str:
    """The same conninfo, once the database holds this."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(content)
    return dsn


@pytest.fixture(scope="module")
def shop(module_dsn: str) -> str:
    """A database of customers and their purchases: 30 customers, ten of each city; 60 purchases.

    No test changes it.
    """
    return filled(module_dsn, SHOP)


@pytest.fixture
def own_shop(fresh_dsn: str) -> str:
    """The same for a test that changes it, or learns from use."""
    return filled(fresh_dsn, SHOP)
