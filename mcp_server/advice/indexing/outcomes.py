"""Which of the indexes that were tried are worth having, from plans and times. No I/O."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import mean

from mcp_server.advice.findings import Finding, size, statement
from mcp_server.advice.indexing.candidates import Candidate
from mcp_server.rendering import clip

CHECK = "index_advice"
TEXT_CHARACTERS = 500
"""Of a statement that is told."""
FASTER = 0.5
"""Of the time without it: an index that makes less of a difference is not worth what writes pay."""
GAIN_MS = 1.0
AS_GOOD = 1.2
"""Times the time of another: then the one with fewer columns is as good."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One query, run some times. at_least: it was stopped then. indexes: those in its plan."""

    ms: float
    cost: float
    indexes: frozenset[str]
    at_least: bool = False

    @property
    def told(self) -> str:
        """The time, for people."""
        return f"{'more than ' if self.at_least else ''}{self.ms:.1f} ms"

    @classmethod
    def of_all(cls, each: Sequence["Measured"]) -> "Measured":
        """Of several sets of values: the mean; where one was stopped, that one stands for all."""
        stopped = next((one for one in each if one.at_least), None)
        return stopped or cls(
            mean(one.ms for one in each),
            mean(one.cost for one in each),
            frozenset[str]().union(*(one.indexes for one in each)),
        )


@dataclass(slots=True)
class Tried:
    """A statement and what became of it. with_index: by candidate, where its plan has it."""

    name: str
    text: str
    calls: int
    before: Measured
    with_index: dict[Candidate, Measured] = field(default_factory=dict)

    def helped(self, candidate: Candidate) -> bool:
        """Whether an index makes it much faster, by the plan and by the clock."""
        after = self.with_index.get(candidate)
        return (
            after is not None
            and not after.at_least
            and after.cost < self.before.cost
            and after.ms <= FASTER * self.before.ms
            and self.before.ms - after.ms >= GAIN_MS
        )

    def saved(self, candidate: Candidate) -> float:
        """Milliseconds of all its calls."""
        if not self.helped(candidate):
            return 0.0
        return self.calls * (self.before.ms - self.with_index[candidate].ms)

    def content_with(self, candidate: Candidate) -> bool:
        """Whether no other index does much better."""
        best = min(self.with_index[each].ms for each in self.with_index if self.helped(each))
        return self.with_index[candidate].ms <= max(AS_GOOD * best, best + GAIN_MS)


def chosen(tried: Sequence[Tried]) -> Iterator[tuple[Candidate, list[Tried]]]:
    """The fewest indexes that help: the one that saves most first, with the statements it helps."""
    open_ones = list(tried)
    while True:
        offers = {each for one in open_ones for each in one.with_index if one.helped(each)}
        if not offers:
            return
        gains = {each: sum(one.saved(each) for one in open_ones) for each in offers}
        enough = max(gains.values()) / AS_GOOD
        best = min(
            (each for each in offers if gains[each] >= enough),
            key=lambda each: (len(each.keys), -gains[each], each.place),
        )
        helped = [one for one in open_ones if one.helped(best)]
        yield best, helped
        open_ones = [one for one in open_ones if one not in helped or not one.content_with(best)]
        for one in open_ones:
            one.with_index.pop(best, None)


def findings(tried: Sequence[Tried], sizes: dict[Candidate, int]) -> Iterator[Finding]:
    """A finding for each index worth having. sizes: in bytes, of those that were built."""
    for candidate, helped in chosen(tried):
        told = [
            f"{one.name}: {one.before.told} without it, {one.with_index[candidate].told} with it "
            f"(cost {one.before.cost:.0f} and {one.with_index[candidate].cost:.0f}), "
            f"{one.calls} calls so far: {clip(statement(one.text), TEXT_CHARACTERS)}"
            for one in helped
        ]
        yield Finding(
            CHECK,
            candidate.place,
            f"tried on a branch, {size(sizes[candidate])}. " + "; ".join(told),
            candidate.create,
        )


def not_helped(one: Tried) -> str:
    """What is told of a statement that no index helps."""
    if not one.with_index:
        return f"{one.before.told}; no index that was tried is in its plan"
    best, after = min(one.with_index.items(), key=lambda each: each[1].ms)
    return f"{one.before.told}; {after.told} with the best that was tried, {best.place}"
