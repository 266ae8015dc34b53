"""Parameters that follow the capacity of a server while it runs. Pure.

They change by reload at each doubling of the capacity, not at every step: each reload is read by
every session. A parameter group, ALTER DATABASE and ALTER ROLE prevail.

Source: the formulas of RDS's default parameter groups for PostgreSQL (`maintenance_work_mem`,
`effective_cache_size`); the defaults of PostgreSQL at 0.5 ACU for `work_mem`; PostgreSQL manual,
"Resource Consumption" (`io_workers`, since 18).
"""

import math

from cluster_runtime.engine.parameters import MAX_CONNECTIONS_MAX
from cluster_runtime.engine.settings import Settings
from cluster_runtime.serverless.enforcement.means import Share
from cluster_runtime.serverless.scaling.demand import SESSION_BYTES
from cluster_runtime.serverless.scaling.limits import max_connections, shared_buffers_bytes

KIB = 1 << 10
WORK_MEM_PART = 256
"""Of its memory, for each sort or hash: 4 MiB of 1 GiB, PostgreSQL's default."""
WORK_MEM_KIB_MIN = 4096
MAINTENANCE_BYTES, MAINTENANCE_KIB_MIN = 63_963_136, 65_536
CACHE_PART = 2
BUFFERS_PART, CONNECTIONS_PART = 64, 16
"""Of the machine's memory: for the shared buffers of a cluster, and for all its sessions. Places
for 1000 sessions alone take 35 MB of each cluster that runs, and 0.1 s of each of its starts."""
BUFFERS_KIB_MIN, CONNECTIONS_MIN = 128 << 10, 100
"""As every cluster begins with."""
IO_WORKERS_SINCE, IO_WORKERS_MAX = 18, 32


def parameters_for(share: Share, major: int, cpus: int) -> Settings:
    """What a server of a share runs with. major: of PostgreSQL. cpus: of the machine."""
    share = banded(share)
    workers = min(int(share.cores), cpus)
    memory_kib = share.memory_bytes // KIB
    found: dict[str, str] = {
        "work_mem": f"{max(WORK_MEM_KIB_MIN, memory_kib // WORK_MEM_PART)}kB",
        "maintenance_work_mem": (
            f"{max(MAINTENANCE_KIB_MIN, share.memory_bytes * KIB // MAINTENANCE_BYTES)}kB"
        ),
        "effective_cache_size": f"{memory_kib // CACHE_PART}kB",
        "max_parallel_workers": str(workers),
        "max_parallel_workers_per_gather": str(workers // 2),
        "max_parallel_maintenance_workers": str(workers // 2),
    }
    if major >= IO_WORKERS_SINCE:
        found["io_workers"] = str(min(IO_WORKERS_MAX, 1 + workers))
    return found


def parameters_of_range(minimum: float, maximum: float, machine_bytes: int) -> Settings:
    """What only a start can change, of a range in ACU: as Aurora documents, on this machine.

    The machine is everybody's: a cluster's sessions, and its buffers, get a part of it at most.
    """
    room = max(CONNECTIONS_MIN, machine_bytes // CONNECTIONS_PART // SESSION_BYTES)
    connections = min(max_connections(minimum, maximum), room, MAX_CONNECTIONS_MAX)
    buffers = min(shared_buffers_bytes(maximum), machine_bytes // BUFFERS_PART)
    return {
        "max_connections": str(connections),
        "shared_buffers": f"{max(buffers // KIB, BUFFERS_KIB_MIN)}kB",
    }


def banded(share: Share) -> Share:
    """The largest share below that has a power of two of GiB, with the cores that go with it."""
    gib = share.memory_bytes / 2**30
    band = 2.0 ** math.floor(math.log2(gib))
    return Share(share.cores * band / gib, round(band * 2**30))
