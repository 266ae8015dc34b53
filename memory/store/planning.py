"""How a search by vector is made: exactly, or through the index. Decisions only.

Costs are in reads of one vector in a scan, which is what an exact search does for each of its
namespaces' vectors. An HNSW index knows nothing of namespaces: it yields the nearest of the whole
table, of which a share is in the wanted namespaces, and each costs a walk over its neighbours. So a
big namespace in a much bigger table gets an index of its own (`memory.store.own_indexes`).
Source: pgvector README, "Filtering" and "Iterative Index Scans".
"""

from collections import OrderedDict
from dataclasses import dataclass

from memory.forked import FreshLock

ENTRY_COST = 40
"""Of one entry that the index yields; `bench/memory.py --only store` shows both ways."""
LEAST_EF_SEARCH, MOST_EF_SEARCH = 60, 1000
MOST_ENTRIES = 20_000
"""Where an iterative scan ends (`hnsw.max_scan_tuples`)."""
FILTER_KEEPS = 0.1
"""The share of items that a filter is taken to keep, of which nothing is known."""
ITERATIVE_SINCE = (0, 8)
COUNT_UP_TO = 50_000
RECOUNT_AFTER = 100
REMEMBERED_PREFIXES = 1024
USUALLY_WANTED = 10
WORTH, STILL_WORTH = 2.0, 1.25
"""Times that a search costs less through an index of its own: to make one, and to keep it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """scope: vectors in the wanted namespaces, counted up to COUNT_UP_TO; table: in all, about.

    pgvector: its version. namespace: the key of the wanted one if it is only one; own_index:
    whether it has an index of its own.
    """

    scope: int
    table: int
    pgvector: tuple[int, ...]
    namespace: int | None = None
    own_index: bool = False

    @property
    def iterative(self) -> bool:
        """Whether the index goes on until enough of what it yields is wanted."""
        return self.pgvector >= ITERATIVE_SINCE

    @property
    def ill_tended(self) -> bool:
        """Whether it should have an index of its own and has none, or the other way round."""
        if self.namespace is None:
            return False
        times = gain(self.scope, self.table)
        return times < STILL_WORTH if self.own_index else times >= WORTH


@dataclass(frozen=True, slots=True)
class Exact:
    """Compare with every vector of the namespaces."""


@dataclass(frozen=True, slots=True)
class Approximate:
    """Take candidates from the index, which looks at ef_search at a time.

    namespace: through its own index.
    """

    candidates: int
    ef_search: int
    iterative: bool
    namespace: int | None = None


def choose(
    sizes: Sizes, wanted: int, *, filtered: bool, exact_up_to: int | None, least: int = 0
) -> Exact | Approximate:
    """The way that costs least and returns `wanted` items.

    exact_up_to: decides by itself if given, without regard to cost. least: candidates at least.
    """
    candidates = max(candidates_for(wanted), least)
    ef_search = min(MOST_EF_SEARCH, max(LEAST_EF_SEARCH, candidates * 2))
    own = sizes.namespace if sizes.own_index else None
    by_index = Approximate(candidates, ef_search, sizes.iterative, own)
    if exact_up_to is not None:
        return Exact() if sizes.scope <= exact_up_to else by_index
    indexed = sizes.table if own is None else sizes.scope
    share = min(1.0, sizes.scope / max(1, indexed)) * (FILTER_KEEPS if filtered else 1.0)
    if share == 0:
        return Exact()
    entries = max(ef_search, candidates / share)
    if entries > (MOST_ENTRIES if sizes.iterative else ef_search):
        return Exact()
    return by_index if entries * ENTRY_COST < sizes.scope else Exact()


def candidates_for(wanted: int) -> int:
    """Vectors to rank for so many items, some of which have two or have expired."""
    return wanted * 2 + 10


def gain(scope: int, table: int) -> float:
    """How many times less a usual search of a namespace costs through an index of its own."""
    if not scope:
        return 0.0
    entries = max(LEAST_EF_SEARCH, candidates_for(USUALLY_WANTED) * max(scope, table) / scope)
    by_all = entries * ENTRY_COST if entries <= MOST_ENTRIES else scope
    return min(scope, by_all) / (LEAST_EF_SEARCH * ENTRY_COST)


class KnownSizes:
    """Sizes of the prefixes that were searched last, each good for RECOUNT_AFTER searches.

    Stale sizes cost time, never rows: what an index does not find is looked for exactly.
    """

    def __init__(self) -> None:
        self._lock = FreshLock()
        self._known: OrderedDict[tuple[str, ...], tuple[Sizes, int]] = OrderedDict()
        self._ill_tended = False

    def get(self, prefix: tuple[str, ...]) -> Sizes | None:
        """What is known; None if it is time to count."""
        with self._lock:
            found = self._known.pop(prefix, None)
            if found is None:
                return None
            sizes, left = found
            if left > 1:
                self._known[prefix] = (sizes, left - 1)
            return sizes

    def note(self, prefix: tuple[str, ...], sizes: Sizes) -> None:
        """It was counted."""
        with self._lock:
            self._known[prefix] = (sizes, RECOUNT_AFTER)
            self._ill_tended = self._ill_tended or sizes.ill_tended
            while len(self._known) > REMEMBERED_PREFIXES:
                self._known.popitem(last=False)

    def ill_tended(self) -> bool:
        """Whether a count since the last such question asks for other indexes than there are."""
        with self._lock:
            found, self._ill_tended = self._ill_tended, False
            return found

    def forget(self) -> None:
        """Other indexes are there now."""
        with self._lock:
            self._known.clear()
