"""Hot standby feedback: the oldest transactions whose rows readers still need.

The writer knows the volume alone, its one standby: the volume tells it the least of what its
readers ask for. `catalog_xmin` is what logical decoding on a reader needs of the catalog.

Source: PostgreSQL documentation, "Hot standby feedback message".
"""

from collections.abc import Iterable
from dataclasses import dataclass

FullXid = tuple[int, int]
"""A transaction id and its epoch (how often the ids have wrapped around)."""

NONE: FullXid = (0, 0)


@dataclass(frozen=True, slots=True)
class Feedback:
    """xmin, catalog_xmin: NONE where nothing has to be kept."""

    xmin: FullXid = NONE
    catalog_xmin: FullXid = NONE


def least(readers: Iterable[Feedback]) -> Feedback:
    """What a writer has to keep for all of these readers."""
    asked = list(readers)
    return Feedback(
        _oldest(each.xmin for each in asked), _oldest(each.catalog_xmin for each in asked)
    )


def _oldest(asked: Iterable[FullXid]) -> FullXid:
    return min((each for each in asked if each[0]), key=lambda one: (one[1], one[0]), default=NONE)
