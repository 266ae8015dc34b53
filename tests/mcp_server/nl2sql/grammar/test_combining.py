"""Two measures as one query: in one pass only where both are of the same rows."""

from mcp_server.nl2sql.grammar.compound.combining import combined, paired
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import ForeignKey, Kind, Profile, Table
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


BOOK = table("book", 5, book_id=Kind.NUMBER)
MEMBER = table("member", 3, member_id=Kind.NUMBER)
LOAN = table("loan", 9, book_id=Kind.NUMBER, member_id=Kind.NUMBER)
GIFT = table("gift", 2, book_id=Kind.NUMBER, member_id=Kind.NUMBER)


def graph(*between: Table) -> JoinGraph:
    keys = [
        ForeignKey(each.column(f"{other.name}_id"), other.column(f"{other.name}_id"))
        for each in between
        for other in (BOOK, MEMBER)
    ]
    return JoinGraph(Profile([BOOK, MEMBER, *between], keys))


def test_of_many_with_many_the_pairs_are_counted() -> None:
    assert paired(rows(BOOK), rows(MEMBER), graph(LOAN)) == rows(LOAN)


def test_pairs_are_not_counted_where_it_is_not_clear_which_or_where_some_rows_are_meant() -> None:
    old = rows(BOOK, Compare(BOOK.column("book_id"), "<", 3))
    assert paired(rows(BOOK), rows(MEMBER), graph(LOAN, GIFT)) == rows(BOOK)
    assert paired(old, rows(MEMBER), graph(LOAN)) == old
    assert paired(rows(BOOK), rows(BOOK), graph(LOAN)) == rows(BOOK)
    assert paired(rows(BOOK), rows(DRIVER), graph(LOAN)) == rows(BOOK)
