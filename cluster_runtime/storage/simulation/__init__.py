"""The volume under a seeded scheduler with virtual time, in two models.

`run`: the pure cores, and a network between six storage nodes and the writers. Messages are lost,
delayed, doubled and reordered, nodes crash and forget what was not synced, zones go away, logs rot,
writers compete, segments are replaced under load.

`disks`: the drivers, as the product has them, over a simulated disk: opening, commit path, repair,
replacement, scrub, page images, collection. Processes are killed between any two changes of the
disk, power is cut, files of every kind rot or go, disks are slow, full, read-only or failing, two
hosts have the volume open.

After every step the invariants of a volume are checked.

    python -m cluster_runtime.storage.simulation --seeds 1000
    python -m cluster_runtime.storage.simulation --disks --seed 42 --trace
    python -m cluster_runtime.storage.simulation --mutation cut_too_low
"""

from cluster_runtime.storage.simulation.disks import run_disk_seed
from cluster_runtime.storage.simulation.run import Violation, run_seed

__all__ = ["Violation", "run_disk_seed", "run_seed"]
