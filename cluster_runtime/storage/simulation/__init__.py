"""The pure cores of the volume under a seeded scheduler with virtual time.

Each run makes its own storm from its seed: messages are lost, delayed, doubled and reordered,
nodes crash and forget what was not synced, zones go away, logs rot, writers compete, segments are
replaced under load. After every step the invariants of a volume are checked.

    python -m cluster_runtime.storage.simulation --seeds 1000
    python -m cluster_runtime.storage.simulation --seed 42 --trace
    python -m cluster_runtime.storage.simulation --mutation cut_too_low
"""

from cluster_runtime.storage.simulation.run import Violation, run_seed

__all__ = ["Violation", "run_seed"]
