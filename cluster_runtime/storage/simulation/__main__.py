"""The command line of the simulation."""

import argparse
import logging
import sys
import time
from contextlib import nullcontext

from cluster_runtime.storage.simulation import run_disk_seed
from cluster_runtime.storage.simulation.mutations import DISK_MUTATIONS, MUTATIONS, mutated
from cluster_runtime.storage.simulation.run import STEPS, Violation, run_seed


def main() -> int:
    """Run one seed or many; the exit status tells whether a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m cluster_runtime.storage.simulation")
    parser.add_argument("--disks", action="store_true", help="the drivers over simulated disks")
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--seeds", type=int, default=1000, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS, help="events of a run without disks")
    parser.add_argument("--trace", action="store_true", help="print each event")
    parser.add_argument(
        "--mutation", choices=sorted({*MUTATIONS, *DISK_MUTATIONS}), help="with a deliberate bug"
    )
    options = parser.parse_args()
    first, count = (options.seed, 1) if options.seed is not None else (options.first, options.seeds)
    began = time.perf_counter()
    promised = 0
    trace = print if options.trace else None
    bug = options.mutation
    if not options.trace:
        # What happens to these segments is no news.
        logging.disable(logging.CRITICAL)
    try:
        with mutated(bug) if bug else nullcontext():
            for seed in range(first, first + count):
                if options.disks:
                    promised += run_disk_seed(seed, trace=trace, mutation=bug)
                else:
                    promised += run_seed(seed, steps=options.steps, trace=trace, mutation=bug)
    except Violation as violation:
        print(violation, file=sys.stderr)
        return 1
    seconds = time.perf_counter() - began
    print(f"{count} seeds, {count / seconds:.0f} a second, {promised} bytes promised, all kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
