"""A hundred rounds of load and disaster: no acknowledged commit may be missing afterwards.

Runs `tests/cluster_runtime/storage/test_survival.py` with more rounds: kill -9 of the writer and of
the host process, lost data directories, lost zones, lost and corrupted segments, rot in state
files, marks, log and page images, disks of single segments that are full, read-only or failing;
pg_amcheck at the end. Prints the seed, which repeats the same disasters.

Beside small commits go transactions of the given sizes; each of a gigabyte or more in one round
(one of 2 GB takes 15 GB of disk, and some minutes).

    python bench/survive.py [--rounds 100] [--seed N] [--bulk-mb 8,8,8,64,2048]
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from report import show, write_json

ROOT = Path(__file__).parent.parent
TEST = ROOT / "tests" / "cluster_runtime" / "storage" / "test_survival.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--bulk-mb", default=",".join(["8"] * 15 + ["64"] * 4 + ["2048"]))
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.rounds} rounds")
    environment = {
        **os.environ,
        "BOREALIS_SURVIVAL_ROUNDS": str(options.rounds),
        "BOREALIS_SURVIVAL_SEED": str(options.seed),
        "BOREALIS_SURVIVAL_BULK_MB": options.bulk_mb,
    }
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", TEST], cwd=ROOT, env=environment)
    took = time.monotonic() - began
    held = done.returncode == 0
    show(
        "Survival",
        ("rounds", "seed", "seconds", "held"),
        [(options.rounds, options.seed, f"{took:.0f}", "yes" if held else "NO")],
    )
    write_json("survive", {**vars(options), "seconds": took, "held": held})
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    main()
