"""Whether two results are the same: rows in any order, columns in any order, numbers nearly so."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from decimal import Decimal
from typing import Any

DIGITS = 5
"""Numbers that agree in so many digits are the same."""

Rows = Sequence[Sequence[Any]]


def match(gold: Rows, found: Rows) -> bool:
    """Whether the found rows are the gold ones. Columns are not told apart by their names."""
    if len(gold) != len(found):
        return False
    if not gold:
        return True
    if len(gold[0]) != len(found[0]):
        return False
    one, other = _columns(gold), _columns(found)
    rows = Counter(zip(*one, strict=True))
    return any(
        Counter(zip(*(other[place] for place in order), strict=True)) == rows
        for order in _orders(one, other)
    )


def _columns(rows: Rows) -> list[tuple[Hashable, ...]]:
    return [tuple(map(_plain, column)) for column in zip(*rows, strict=True)]


def _orders(
    one: Sequence[tuple[Hashable, ...]],
    other: Sequence[tuple[Hashable, ...]],
    taken: tuple[int, ...] = (),
) -> Iterator[tuple[int, ...]]:
    """Orders of the other's columns in which each holds the values that its counterpart does."""
    if len(taken) == len(one):
        yield taken
        return
    wanted = Counter(one[len(taken)])
    for place, column in enumerate(other):
        if place not in taken and Counter(column) == wanted:
            yield from _orders(one, other, (*taken, place))


def _plain(value: Any) -> Hashable:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return float(f"{float(value):.{DIGITS}g}")
    return str(value)
