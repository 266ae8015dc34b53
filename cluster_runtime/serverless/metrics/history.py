"""What a cluster did in the last day: a ring for its volume, and one for each of its instances.

An instance that was the writer and then a reader has two, so that each role can be told apart.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cluster_runtime.serverless.metrics.names import (
    CLUSTER_METRICS,
    INSTANCE_METRICS,
    METRICS,
    Role,
)
from cluster_runtime.serverless.metrics.ring import Points, Ring, merged


class Origin(NamedTuple):
    """Whose samples they are: those of an instance while it had a role, or of the volume."""

    instance: str = ""
    role: Role | None = None


OF_THE_VOLUME = Origin()


class History:
    """Of one cluster. Not of one thread: whoever has it takes turns."""

    def __init__(self, rings: Mapping[Origin, Ring] | None = None) -> None:
        self.rings = {
            origin: ring.with_names(names_of(origin)) for origin, ring in (rings or {}).items()
        }

    def add(self, origin: Origin, at: float, values: Mapping[str, float]) -> None:
        """Take one sample. at: Unix seconds. Raises KeyError for metrics that it has none of."""
        if values:
            ring = self.rings.get(origin)
            if ring is None:
                ring = self.rings[origin] = Ring(names_of(origin))
            ring.add(at, values)

    def read(
        self,
        name: str,
        start: float,
        end: float,
        period: int,
        *,
        instance: str | None = None,
        role: Role | None = None,
    ) -> Points:
        """Statistics of a metric: of all of the cluster, of one instance, of those in a role.

        Raises KeyError for an unknown metric, ValueError for a period of no whole seconds.
        """
        if name not in METRICS:
            raise KeyError(name)
        return merged(
            ring.read(name, start, end, period)
            for ring in self._of(instance, role)
            if name in ring.names
        )

    def series(self) -> Iterator[tuple[Origin, str, float]]:
        """The metrics that there are samples of, whose they are, and when the last minute ends."""
        for origin, ring in sorted(self.rings.items(), key=lambda each: str(each[0])):
            newest, active = ring.newest, ring.active
            if newest is not None:
                yield from ((origin, name, newest) for name in ring.names if name in active)

    def forget_before(self, moment: float) -> None:
        """Let go of what is older than a day, as seen from a moment, and of what is empty then."""
        for origin, ring in list(self.rings.items()):
            ring.forget_before(moment)
            if ring.newest is None:
                del self.rings[origin]

    def _of(self, instance: str | None, role: Role | None) -> Iterator[Ring]:
        for origin, ring in self.rings.items():
            if instance in (None, origin.instance) and role in (None, origin.role):
                yield ring


def names_of(origin: Origin) -> tuple[str, ...]:
    """The metrics that an origin can have."""
    return CLUSTER_METRICS if origin == OF_THE_VOLUME else INSTANCE_METRICS
