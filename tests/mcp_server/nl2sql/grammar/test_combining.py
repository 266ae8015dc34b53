"""Two measures as one query: in one pass only where both are of the same rows."""

from mcp_server.nl2sql.grammar.compound.combining import combined
from mcp_server.nl2sql.schema.model import Kind, Table
from mcp_server.nl2sql.sql.logical import Arithmetic, Compare, Filtered, Output, Query, Whole
from tests.mcp_server.nl2sql.profiles import table

DRIVER = table("driver", 4, driver_id=Kind.NUMBER, licence=["H", "L"])
HAUL = table("haul", 7, haul_id=Kind.NUMBER, driver_id=Kind.NUMBER, state=["done"])


def rows(of: Table, *where: Compare) -> Query:
    return Query(of, [Output(None, "count", table=of)], where=list(where))


def test_what_one_side_asks_of_another_table_joins_it_for_that_side_alone() -> None:
    done = Compare(HAUL.column("state"), "=", "done")
    found = combined("/", rows(DRIVER, done), rows(DRIVER))
    assert found is not None
    assert found.computed == [Arithmetic("/", Whole(rows(DRIVER, done)), Whole(rows(DRIVER)))]
    assert combined(",", rows(DRIVER, done), rows(DRIVER)) is None


def test_what_both_sides_ask_of_it_joins_it_for_both() -> None:
    done = Compare(HAUL.column("state"), "=", "done")
    heavy = Compare(DRIVER.column("licence"), "=", "H")
    found = combined("/", rows(DRIVER, done, heavy), rows(DRIVER, done))
    assert found is not None
    assert found.where == [done]
    (quotient,) = found.computed
    assert isinstance(quotient, Arithmetic)
    assert isinstance(quotient.left, Filtered)
    assert quotient.left.where == (heavy,)
