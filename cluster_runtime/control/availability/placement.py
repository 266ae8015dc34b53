"""Which zone an instance is placed in: round-robin, and never in one that is lost."""

from collections.abc import Collection, Iterable

ZONES = ("a", "b", "c")


def zone_for(taken: Iterable[str], lost: Collection[str] = ()) -> str:
    """The zone of the next instance: of those with the fewest, the first by name.

    taken: the zones of the instances that there are, once for each. lost: only chosen where no
    other zone is left.
    """
    counted = list(taken)
    open_ones = [zone for zone in ZONES if zone not in lost] or list(ZONES)
    return min(open_ones, key=lambda zone: (counted.count(zone), zone))
