"""A day of metrics at decreasing resolution: the rule, without a clock or a file.

Each resolution takes every sample itself, so that none is made of another one: sum, minimum,
maximum and count of any stretch are those of its samples, however long ago.

Times are Unix seconds. Source: CloudWatch API Reference, data type StatisticSet, and "Resolution"
in its concepts: what is kept shortest is what has the finest resolution.
"""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Resolution:
    """Slots of `step` seconds, the newest `slots` of them."""

    step: int
    slots: int

    @property
    def seconds(self) -> int:
        """How far back it reaches."""
        return self.step * self.slots


RESOLUTIONS = (Resolution(1, 600), Resolution(10, 720), Resolution(60, 1440))
"""A second for 10 minutes, 10 seconds for two hours, a minute for a day."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What samples come to. Source: CloudWatch API Reference, data type StatisticSet."""

    sample_count: int
    sum: float
    minimum: float
    maximum: float

    @property
    def average(self) -> float:
        """Their mean."""
        return self.sum / self.sample_count

    def merged(self, other: "Statistics") -> "Statistics":
        """Those of the samples of both."""
        return Statistics(
            self.sample_count + other.sample_count,
            self.sum + other.sum,
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
        )


Points = dict[int, Statistics]
"""Statistics by the second that their stretch begins with, in order of time."""


class Ring:
    """The newest samples of one thing. names: of its metrics, the columns.

    Not of one thread: whoever has it takes turns.
    """

    FIELDS: ClassVar = 4
    """Of a cell: sample count, sum, minimum, maximum."""

    def __init__(
        self, names: Sequence[str], resolutions: Sequence[Resolution] = RESOLUTIONS
    ) -> None:
        self.names = tuple(names)
        self.resolutions = tuple(resolutions)
        self._columns = {name: self.FIELDS * at for at, name in enumerate(self.names)}
        self._tiers: list[dict[int, array[float]]] = [{} for _ in resolutions]

    @property
    def newest(self) -> float | None:
        """When the newest sample's coarsest slot ends; None while there is none."""
        tier = self._tiers[-1]
        return (max(tier) + 1) * self.resolutions[-1].step if tier else None

    @property
    def active(self) -> frozenset[str]:
        """The metrics that it has a sample of."""
        rows = self._tiers[-1].values()
        return frozenset(name for name, at in self._columns.items() if any(row[at] for row in rows))

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Take one sample of some of the metrics, those that could be measured.

        Raises KeyError for a name that is none of its own, ValueError for a value that is no finite
        number.
        """
        cells = [(self._columns[name], value) for name, value in values.items()]
        if not all(math.isfinite(value) for value in values.values()):
            raise ValueError(f"a value is not finite: {dict(values)}")
        for resolution, tier in zip(self.resolutions, self._tiers, strict=True):
            row = self._row(resolution, tier, int(at // resolution.step))
            for column, value in cells:
                _take(row, column, value)

    def read(self, name: str, start: float, end: float, period: int) -> Points:
        """Statistics of a metric for each period from `start` to before `end` that has samples.

        Periods begin at `start`, brought down to a slot of the resolution that they are made of:
        the coarsest whose slots fit into one. Raises KeyError for an unknown name, ValueError for a
        period that no resolution fits into.
        """
        column = self._columns[name]
        resolution, tier = self._fitting(period)
        first = int(start // resolution.step)
        begin = first * resolution.step
        last = math.ceil(end / resolution.step)
        found: Points = {}
        numbers = range(first, last) if last - first < len(tier) else tier
        for number in numbers:
            row = tier.get(number)
            if row is None or not first <= number < last or not row[column]:
                continue
            one = Statistics(int(row[column]), *row[column + 1 : column + self.FIELDS])
            at = begin + (number * resolution.step - begin) // period * period
            found[at] = found[at].merged(one) if at in found else one
        return found

    def forget_before(self, moment: float) -> None:
        """Let go of what is older than the reach of its resolution, as seen from a moment."""
        for resolution, tier in zip(self.resolutions, self._tiers, strict=True):
            _expire(tier, int(moment // resolution.step) - resolution.slots)

    def rows(self) -> list[tuple[int, list[tuple[int, "array[float]"]]]]:
        """All that it holds: for each resolution its step, and the cells of each slot.

        For another thread to read: what goes on changes is the newest slot, which is copied.
        """
        found = []
        for resolution, tier in zip(self.resolutions, self._tiers, strict=True):
            slots = list(tier.items())
            if slots:
                number, row = slots[-1]
                slots[-1] = number, row[:]
            found.append((resolution.step, slots))
        return found

    @classmethod
    def of_rows(
        cls, names: Sequence[str], rows: Iterable[tuple[int, Iterable[tuple[int, "array[float]"]]]]
    ) -> Self:
        """What `rows` gave, read again. Resolutions that there are no more are passed over."""
        ring = cls(names)
        steps = {each.step: tier for each, tier in zip(ring.resolutions, ring._tiers, strict=True)}
        for step, slots in rows:
            if step in steps:
                steps[step].update(sorted(slots))
        return ring

    def with_names(self, names: Sequence[str]) -> "Ring":
        """The same with these columns: of a release that has more metrics, or other ones."""
        if tuple(names) == self.names:
            return self
        common = [(name, self._columns[name]) for name in names if name in self._columns]
        ring = Ring(names, self.resolutions)
        for tier, old in zip(ring._tiers, self._tiers, strict=True):
            for number, row in old.items():
                cells = tier[number] = array("d", bytes(8 * ring.FIELDS * len(ring.names)))
                for name, column in common:
                    at = ring._columns[name]
                    cells[at : at + self.FIELDS] = row[column : column + self.FIELDS]
        return ring

    def _row(
        self, resolution: Resolution, tier: dict[int, "array[float]"], number: int
    ) -> "array[float]":
        row = tier.get(number)
        if row is not None:
            return row
        row = array("d", bytes(8 * self.FIELDS * len(self.names)))
        newest = next(reversed(tier)) if tier else number
        if number <= newest - resolution.slots:
            tier.clear()  # the clock was set back by more than is kept: what was before is wrong
        tier[number] = row
        if number < newest:
            in_order = sorted(tier.items())
            tier.clear()
            tier.update(in_order)
        _expire(tier, number - resolution.slots)
        return row

    def _fitting(self, period: int) -> tuple[Resolution, dict[int, "array[float]"]]:
        if period > 0:
            for resolution, tier in reversed(list(zip(self.resolutions, self._tiers, strict=True))):
                if period % resolution.step == 0:
                    return resolution, tier
        raise ValueError(f"a period of {period} s is no multiple of {self.resolutions[0].step} s")


def merged(parts: Iterable[Points]) -> Points:
    """The statistics of several things together, stretch by stretch."""
    found: Points = {}
    for points in parts:
        for at, one in points.items():
            found[at] = found[at].merged(one) if at in found else one
    return dict(sorted(found.items()))


def _take(row: "array[float]", column: int, value: float) -> None:
    first = not row[column]
    row[column] += 1
    row[column + 1] += value
    row[column + 2] = value if first else min(row[column + 2], value)
    row[column + 3] = value if first else max(row[column + 3], value)


def _expire(tier: dict[int, "array[float]"], last: int) -> None:
    """Remove slots up to a number; they are in order."""
    while tier and (oldest := next(iter(tier))) <= last:
        del tier[oldest]
