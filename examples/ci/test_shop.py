"""Tests of a shop: each has a database of its own, made from the migrations.

Until borealis-postgres is on PyPI, the wheel that `make dist` builds takes its place:

pip install borealis-postgres pytest pytest-xdist
pytest -n 2
"""

import psycopg
import pytest

from borealis.pytest_plugin import BorealisDatabase


def test_an_order_belongs_to_a_customer(borealis_database: BorealisDatabase) -> None:
    with borealis_database.connect() as conn:
        conn.execute("insert into orders (customer_id, total) values (1, 9.90)")
        assert conn.execute("select count(*) from orders").fetchone() == (1,)


def test_another_test_does_not_see_it(borealis_database: BorealisDatabase) -> None:
    with borealis_database.connect() as conn:
        assert conn.execute("select count(*) from orders").fetchone() == (0,)


def test_a_total_is_not_negative(borealis_database: BorealisDatabase) -> None:
    with (
        psycopg.connect(borealis_database.get_connection_url()) as conn,
        pytest.raises(psycopg.errors.CheckViolation),
    ):
        conn.execute("insert into orders (customer_id, total) values (1, -1)")
