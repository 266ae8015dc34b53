"""Faults as the API names them: what is hit, and how.

Targets: `segment:<id>`, `az:<name>`, `writer`. Kinds: `crash`, `partition`, `slow:<ms>`,
`drop:<percent>`, `corrupt`, `disk-full`.
"""

from dataclasses import dataclass
from enum import Enum

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.storage.core.types import AZS, SegmentId, az_of


class FaultKind(Enum):
    """What happens to the target."""

    CRASH = "crash"
    PARTITION = "partition"
    SLOW = "slow"
    DROP = "drop"
    CORRUPT = "corrupt"
    DISK_FULL = "disk-full"


_NEEDS_AMOUNT = {FaultKind.SLOW: 60_000.0, FaultKind.DROP: 100.0}
_OF_THE_WRITER = {FaultKind.PARTITION, FaultKind.SLOW}
"""Of its connection to the volume; a crash is its server's, which the control plane kills."""


@dataclass(frozen=True, slots=True)
class Fault:
    """amount: milliseconds of `slow`, percent of `drop`, else 0."""

    kind: FaultKind
    amount: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read `crash`, `slow:20`, `drop:5`. Raises InvalidParameterError."""
        name, colon, amount = text.partition(":")
        try:
            kind = FaultKind(name)
            number = float(amount) if colon else 0.0
        except ValueError:
            raise _unknown(text) from None
        highest = _NEEDS_AMOUNT.get(kind)
        if (highest is None) == bool(colon) or (highest and not 0 < number <= highest):
            raise _unknown(text)
        return cls(kind, number)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return f"{self.kind.value}:{self.amount:g}" if self.amount else self.kind.value

    @property
    def unreachable(self) -> bool:
        """Whether nothing reaches the segment, and nothing comes back."""
        return self.kind in (FaultKind.CRASH, FaultKind.PARTITION)


WRITER = "writer"


def segments_of(target: str, known: tuple[SegmentId, ...]) -> tuple[SegmentId, ...]:
    """The segments that a target other than the writer means. Raises InvalidParameterError."""
    kind, _, name = target.partition(":")
    if kind == "az" and name in AZS:
        return tuple(each for each in known if az_of(each) == name)
    if kind == "segment":
        # A successor, such as a1.2, also answers to the name of its place.
        found = tuple(each for each in known if name in (each, each.partition(".")[0]))
        if found:
            return found
    raise InvalidParameterError(
        f"fault target {target!r} is unknown; use segment:<{', '.join(known)}>, "
        f"az:<{', '.join(AZS)}> or {WRITER}"
    )


def check_writer_fault(fault: Fault) -> None:
    """Raise InvalidParameterError for what cannot happen to a writer's connection."""
    if fault.kind is FaultKind.CRASH:
        raise InvalidParameterError(
            "a volume runs no server that could crash: have the writer of a cluster crash, or cut "
            "this one off with partition"
        )
    if fault.kind not in _OF_THE_WRITER:
        raise InvalidParameterError(
            f"the writer cannot have the fault {fault.kind.value!r}; it can have crash, partition "
            "or slow"
        )


def _unknown(text: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"fault {text!r} is unknown; use crash, partition, slow:<ms>, drop:<percent>, corrupt "
        "or disk-full"
    )
