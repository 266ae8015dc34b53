"""The newest sample of each running instance, for whoever scales it; what is paused is not here.

demand = runtime.sampler.demand(cluster.id, "notes-instance-1")     # None: not measured yet
runtime.sampler.on_sample(scaler.tick)      # called on the event loop, once a second
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cluster_runtime.serverless.metrics.measured import Reading, Sample, sample_of
from cluster_runtime.serverless.scaling.demand import Demand


class InstanceKey(NamedTuple):
    """cluster: resource id. instance: its name."""

    cluster: str
    instance: str


Demands = Mapping[InstanceKey, Demand]


class Sampler:
    """Compares readings. On one event loop; what reads the machine is beside it."""

    def __init__(self) -> None:
        self._readings: dict[InstanceKey, Reading] = {}
        self._samples: dict[InstanceKey, Sample] = {}
        self._tell: list[Callable[[Demands], None]] = []

    def demand(self, cluster: str, instance: str) -> Demand | None:
        """What an instance did in the last second; None before two readings, or while it rests."""
        sample = self._samples.get(InstanceKey(cluster, instance))
        return sample.demand if sample is not None else None

    @property
    def demands(self) -> Demands:
        """Those of all instances that run and were read twice."""
        return {key: sample.demand for key, sample in self._samples.items()}

    def on_sample(self, tell: Callable[[Demands], None]) -> None:
        """Have `tell` called after each sample of the host, with the demands of that second.

        It must return at once, and not raise: what it starts is its own.
        """
        self._tell.append(tell)

    def took(self, readings: Mapping[InstanceKey, Reading]) -> Mapping[InstanceKey, Sample]:
        """Take the readings of all that runs now; what each did since the last ones.

        An instance that is not among them is forgotten.
        """
        self._samples = {
            key: sample
            for key, now in readings.items()
            if (before := self._readings.get(key)) is not None
            and (sample := sample_of(before, now)) is not None
        }
        self._readings = dict(readings)
        demands = self.demands
        for tell in self._tell:
            tell(demands)
        return self._samples
