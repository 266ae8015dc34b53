"""The volume's cores survive 20,000 storms, and the simulation notices when they are wrong."""

import random
import subprocess
import sys

import pytest

from cluster_runtime.storage.simulation import Violation, run_seed
from cluster_runtime.storage.simulation.mutations import MUTATIONS, mutated

SEEDS = 20_000
CHUNK = 1_000
CAUGHT_WITHIN = 2_000
LONG_CHUNK = 40_000


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_storm_breaks_an_invariant(first: int) -> None:
    promised = sum(run_seed(seed) for seed in range(first, first + CHUNK))
    assert promised > CHUNK * 50, "the storms are so bad that hardly anything was promised"


@pytest.mark.long
@pytest.mark.parametrize("part", range(5))
def test_no_storm_of_those_that_nobody_has_seen_breaks_an_invariant(part: int) -> None:
    first = random.randrange(1 << 40)
    print(f"seeds from {first}")  # shown on failure; a violation names its own seed as well
    promised = sum(run_seed(seed) for seed in range(first, first + LONG_CHUNK))
    assert promised > LONG_CHUNK * 50


def test_a_seed_tells_the_same_story_each_time() -> None:
    def story(seed: int) -> list[str]:
        lines: list[str] = []
        run_seed(seed, trace=lines.append)
        return [line.split("(")[0] for line in lines]

    assert story(7) == story(7)
    assert story(7) != story(8)


def run_seeds(count: int, bug: str) -> None:
    for seed in range(count):
        run_seed(seed, mutation=bug)


@pytest.mark.parametrize("bug", MUTATIONS)
def test_a_deliberate_bug_is_caught(bug: str) -> None:
    with mutated(bug), pytest.raises(Violation, match=rf"--seed \d+ --mutation {bug} --trace"):
        run_seeds(CAUGHT_WITHIN, bug)


def test_the_command_line_replays_a_seed_and_says_what_broke() -> None:
    command = [sys.executable, "-m", "cluster_runtime.storage.simulation"]
    whole = subprocess.run([*command, "--seeds", "3"], capture_output=True, text=True)
    assert whole.returncode == 0
    assert "3 seeds" in whole.stdout
    broken = subprocess.run(
        [*command, "--seeds", str(CAUGHT_WITHIN), "--mutation", "quorum_of_three"],
        capture_output=True,
        text=True,
    )
    assert broken.returncode == 1
    replay = broken.stderr.strip().splitlines()[-1].removeprefix("python ").split()
    again = subprocess.run([sys.executable, *replay], capture_output=True, text=True)
    assert again.returncode == 1
    assert again.stderr == broken.stderr
    assert "Node.receive(" in again.stdout
