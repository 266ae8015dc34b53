"""Which columns of two tables are compared, by which key, and in which buckets. Pure.

A bucket is a set of rows that both sides agree on without asking each other: those whose key lies
in a range, where ranges of it are quick to find, else those whose key, or whose row where there is
no key, has the same hash. Only buckets with other sums are looked into.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

RANGE_TYPES = frozenset(
    {"int2", "int4", "int8", "oid", "float8", "uuid", "date", "timestamp", "timestamptz"}
)
"""Types of pg_catalog with a fixed length: an array of their bounds is quick to search."""
HASH_BUCKETS = 4096
ROWS_OF_A_PAGE = 50
"""Of 8 KiB, with rows of some 150 bytes; a guess that only decides how fine ranges are."""
ROWS_OF_A_RANGE = 1000
RANGES_MAX = 8192
SAMPLED_PAGES = 2000
BLOCKS_MAX = 20_000
FEW_BLOCKS = 100
SHARE_MAX = 0.3
"""Of more blocks than that, reading the whole table in order is quicker."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column. catalog_type: the name of its type in pg_catalog, where it is from there.

    number, type_oid: what its values in the table's blocks are. meaning: what else their text hangs
    on, such as the labels of an enum; None where that cannot be told.
    """

    name: str
    catalog_type: str | None
    number: int = 0
    type_oid: int = 0
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class TableFacts:
    """A table. label: its name as SQL has it.

    keys: sets of columns that are unique and never null, the primary key first. partitioned: its
    rows are in its partitions. pages: of 8 KiB. files: oid of the table, or of each partition, with
    the number of the file that its rows are in, None where the log does not tell of it. unreadable:
    why not.
    """

    label: str
    schema: str
    name: str
    partitioned: bool
    columns: tuple[ColumnFacts, ...]
    keys: tuple[tuple[str, ...], ...]
    pages: int
    files: tuple[tuple[int, int | None], ...]
    unreadable: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two tables of one name are compared.

    key: empty where no columns tell rows apart on both sides. ranged_by: catalog type of the first
    key column where buckets are ranges of it. left_out: what is not compared, in words.
    """

    source: TableFacts
    target: TableFacts
    columns: tuple[str, ...]
    key: tuple[str, ...]
    ranged_by: str | None
    left_out: str


def comparison(source: TableFacts, target: TableFacts) -> Comparison:
    """Columns that both have, in the source's order, by the first key that both have."""
    theirs = {column.name: column for column in target.columns}
    ours = {column.name: column for column in source.columns}
    columns = tuple(name for name in ours if name in theirs)
    unique = {frozenset(key) for key in target.keys}
    key = next((key for key in source.keys if frozenset(key) in unique), ())
    ranged_by = None
    if key:
        types = {ours[key[0]].catalog_type, theirs[key[0]].catalog_type}
        ranged_by = types.pop() if len(types) == 1 else None
    alone = [
        f"{side} alone has {', '.join(names)}"
        for side, names in (
            ("the source", [name for name in ours if name not in theirs]),
            ("the target", [name for name in theirs if name not in ours]),
        )
        if names
    ]
    return Comparison(
        source,
        target,
        columns,
        key,
        ranged_by if ranged_by in RANGE_TYPES else None,
        f"columns: {'; '.join(alone)}" if alone else "",
    )


def blocks_to_look_into(
    source: TableFacts, target: TableFacts, changed: Mapping[int, Collection[int]]
) -> tuple[int, ...] | None:
    """Blocks in which rows may differ, of tables whose databases were one; None: any may.

    changed: blocks by number of file, on either side since then. Rows in other blocks are the same
    bytes on both sides, and have the same text as long as their columns mean the same.
    """
    if source.files != target.files or any(number is None for _, number in source.files):
        return None
    if source.columns != target.columns or any(each.meaning is None for each in source.columns):
        return None
    numbers = (number for _, number in source.files if number is not None)
    blocks = {block for number in numbers for block in changed.get(number, ())}
    share = SHARE_MAX * max(source.pages, target.pages)
    return tuple(sorted(blocks)) if len(blocks) <= min(BLOCKS_MAX, max(FEW_BLOCKS, share)) else None


def range_count(pages: int) -> int:
    """Into how many ranges a table of this size is cut."""
    return max(1, min(RANGES_MAX, pages * ROWS_OF_A_PAGE // ROWS_OF_A_RANGE))


def sampled_percent(pages: int) -> float:
    """How much of a table is looked at to find where to cut it."""
    return 100.0 if pages <= SAMPLED_PAGES else 100.0 * SAMPLED_PAGES / pages


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one side has in a bucket: how many rows, and the sum of their digests."""

    rows: int
    digests: int


def differing(source: dict[int, Bucket], target: dict[int, Bucket]) -> tuple[int, ...]:
    """The buckets to look into."""
    everywhere = source.keys() | target.keys()
    return tuple(sorted(each for each in everywhere if source.get(each) != target.get(each)))


@dataclass(frozen=True, slots=True)
class Run:
    """Ranges side by side: from one bound to another, by their places. None: no bound there."""

    low: int | None
    high: int | None


def runs(buckets: Sequence[int], bounds: int) -> tuple[Run, ...]:
    """Neighbouring ranges as one. buckets: in order; bounds: how many cut them.

    Bucket n lies at or above bound n - 1 and below bound n.
    """
    return tuple(
        Run(first - 1 if first else None, last if last < bounds else None)
        for first, last in _stretches(buckets)
    )


def _stretches(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last
