"""Which way a search by vector goes, and how long a count is believed."""

from hypothesis import given
from hypothesis import strategies as st

from memory.store.planning import (
    COUNT_UP_TO,
    MOST_ENTRIES,
    RECOUNT_AFTER,
    REMEMBERED_PREFIXES,
    Approximate,
    Exact,
    KnownSizes,
    Sizes,
    candidates_for,
    choose,
)

NEW, OLD = (0, 8, 5), (0, 7, 4)


def way(
    scope: int,
    table: int,
    wanted: int = 10,
    *,
    filtered: bool = False,
    pgvector: tuple[int, ...] = NEW,
) -> Exact | Approximate:
    sizes = Sizes(scope, table, pgvector)
    return choose(sizes, wanted, filtered=filtered, exact_up_to=None)


def test_a_small_namespace_is_scanned_exactly_and_a_large_one_goes_through_the_index() -> None:
    assert way(500, 20_000) == Exact()
    assert isinstance(way(20_000, 20_000), Approximate)
    assert isinstance(way(COUNT_UP_TO, 1_000_000), Approximate)


def test_a_small_share_of_a_large_table_is_scanned_exactly() -> None:
    # The index would yield some 3,000 entries of others for each ten of its own.
    assert way(10_000, 1_000_000) == Exact()


def test_where_most_of_a_table_is_wanted_a_filter_makes_the_index_dearer() -> None:
    assert isinstance(way(20_000, 100_000), Approximate)
    assert way(20_000, 100_000, filtered=True) == Exact()


def test_without_iterative_scans_the_index_serves_only_what_one_look_at_it_finds() -> None:
    assert isinstance(way(50_000, 50_000, pgvector=OLD), Approximate)
    assert way(25_000, 1_000_000, pgvector=OLD) == Exact()


def test_a_given_bound_decides_by_itself() -> None:
    sizes = Sizes(5000, 1_000_000, NEW)
    assert choose(sizes, 10, filtered=False, exact_up_to=5000) == Exact()
    assert isinstance(choose(sizes, 10, filtered=False, exact_up_to=4999), Approximate)


def test_an_empty_namespace_is_scanned_exactly() -> None:
    assert way(0, 1_000_000) == Exact()
    assert way(0, 0) == Exact()


@given(
    st.integers(0, COUNT_UP_TO),
    st.integers(0, 10_000_000),
    st.integers(1, 2000),
    st.booleans(),
    st.sampled_from([NEW, OLD]),
)
def test_the_index_is_asked_for_enough_and_no_more_than_it_can_yield(
    scope: int, others: int, wanted: int, filtered: bool, pgvector: tuple[int, ...]
) -> None:
    chosen = way(scope, scope + others, wanted, filtered=filtered, pgvector=pgvector)
    if isinstance(chosen, Approximate):
        assert chosen.candidates >= candidates_for(wanted) > wanted
        assert chosen.iterative == (pgvector == NEW)
        assert 60 <= chosen.ef_search <= 1000
        assert chosen.candidates * (scope + others) / scope <= MOST_ENTRIES
    else:
        # Never against the interest of a search: a larger table makes the index no better.
        assert (
            way(scope, scope + others * 2, wanted, filtered=filtered, pgvector=pgvector) == Exact()
        )


def test_a_count_is_believed_for_so_many_searches_and_the_oldest_prefixes_are_forgotten() -> None:
    known, sizes = KnownSizes(), Sizes(1, 2, NEW)
    assert known.get(("a",)) is None
    known.note(("a",), sizes)
    assert [known.get(("a",)) for _ in range(RECOUNT_AFTER + 1)] == [sizes] * RECOUNT_AFTER + [None]
    for number in range(REMEMBERED_PREFIXES + 1):
        known.note((str(number),), sizes)
    assert known.get(("0",)) is None
    assert known.get(("1",)) == sizes
