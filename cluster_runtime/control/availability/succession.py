"""Who becomes the writer: the lowest promotion tier, then the one that replayed furthest.

Source: Aurora User Guide, "Fault tolerance for an Aurora DB cluster" and "High availability".
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A reader. replayed: LSN up to which it shows the log.

    ready: it runs, has caught up once and answers, in a zone that is not lost.
    """

    name: str
    tier: int
    replayed: int
    ready: bool
    zone: str = ""


def in_order(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those that may become the writer, who comes first before who comes later."""
    return sorted(
        (each for each in candidates if each.ready),
        key=lambda each: (each.tier, -each.replayed, each.name),
    )


def unfit(candidates: Iterable[Candidate], target: str) -> str | None:
    """Why a certain one cannot become the writer; None where it can."""
    for each in candidates:
        if each.name == target:
            return None if each.ready else "it is not ready: it starts, catches up or is down"
    return "it is no reader of this cluster"
