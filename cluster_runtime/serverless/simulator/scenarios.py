"""Loads of which others have published what Aurora did with them.

Published are ratios, not the load. So the number of clients and the work of each run here are
fitted; `docs/serverless.md` says to what. They are the same for all versions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cluster_runtime.serverless.scaling.demand import Demand
from cluster_runtime.serverless.scaling.units import ACU, GIB
from cluster_runtime.serverless.simulator.traces import Sample, Trace

RAMP_SECONDS = 60
RAMP_STEPS = 12
RAMP_CORES = 46.0
"""What fills 184 ACU. A policy that leaves it some room ends at 204 (0.9 of it) to 230 (0.8)."""
RAMP_WORK = 9_000.0
"""Seconds of a core: fitted so that the old policy has its peak 3.6 times shorter than fast scaling
has."""
RAMP_LENGTH_SECONDS = 900.0
RAMP_CLIENTS = 168

HEAVY_CLIENTS = 512
"""Threads of the sysbench run that Amazon published: 50 million queries, read-heavy, 16 GB."""
HEAVY_WORK = 18_000.0
"""Seconds of a core: fitted so that version 3 saves 20 % of time and of ACU-hours against 2."""
HEAVY_LENGTH_SECONDS = 600.0
HEAVY_MEMORY_BYTES = 16.0 * GIB


def sysbench_ramp() -> Trace:
    """Clients come in steps for a minute, until they fill about 210 ACU, and do a fixed work."""
    return Trace(
        "sysbench-ramp",
        tuple(
            Sample(
                step * RAMP_SECONDS / RAMP_STEPS,
                Demand(
                    cpu_cores=RAMP_CORES * (step + 1) / RAMP_STEPS,
                    connections=RAMP_CLIENTS * (step + 1) // RAMP_STEPS,
                ),
            )
            for step in range(RAMP_STEPS)
        ),
        RAMP_LENGTH_SECONDS,
        RAMP_WORK,
    )


def sysbench_heavy() -> Trace:
    """512 clients at once, who have use for more than 256 ACU until their work is done."""
    most = HEAVY_CLIENTS * ACU.cores
    demand = Demand(cpu_cores=most, memory_bytes=HEAVY_MEMORY_BYTES, connections=HEAVY_CLIENTS)
    return Trace("sysbench-heavy", (Sample(0.0, demand),), HEAVY_LENGTH_SECONDS, HEAVY_WORK)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load by its name, and the versions that were compared on it, the first being the old one.

    versions: names as `version_named` takes them.
    """

    load: Callable[[], Trace]
    versions: tuple[str, ...]


def known(name: str) -> Scenario | None:
    """The load of this name; None where there is none."""
    return SCENARIOS.get(name)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        "sysbench-ramp": Scenario(sysbench_ramp, ("2", "2+fast")),
        "sysbench-heavy": Scenario(sysbench_heavy, ("2+fast", "3", "4")),
    }
)
