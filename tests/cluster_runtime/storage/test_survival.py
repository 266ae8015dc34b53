"""Rounds of load and disaster: whatever was acknowledged is there afterwards.

A host process of its own runs the volume and its writer under load and prints what was
acknowledged; each round something is done to it. BOREALIS_SURVIVAL_ROUNDS sets how many rounds,
BOREALIS_SURVIVAL_SEED which ones (`python bench/survive.py` does, with a seed that it prints),
BOREALIS_SURVIVAL_BULK_MB how large the transactions are that go on beside small commits. A round
takes one of the sizes; each of a gigabyte or more is taken by one round alone, which waits for it.
The long campaign draws a seed of its own, which its failure names.
"""

import json
import os
import random
import select
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.postmaster import (
    Postmaster,
    Shutdown,
    engine_environment,
    superuser_connection,
)
from cluster_runtime.engine.system.processes import end_orphans
from cluster_runtime.engine.template import Template
from cluster_runtime.storage.volume import StorageVolume

ROUNDS = int(os.environ.get("BOREALIS_SURVIVAL_ROUNDS", "3"))
SEED = int(os.environ.get("BOREALIS_SURVIVAL_SEED", "1"))
LONG_ROUNDS = 100
BULK_MB = [int(each) for each in os.environ.get("BOREALIS_SURVIVAL_BULK_MB", "8").split(",")]
LONG_BULK_MB = [*[8] * 15, *[64] * 4, 2048]
WAITED_FOR_MB, BULK_WAIT_S = 1000, 900
WHOLE_AFTER_ROT_S = 240
"""The host gives each segment a minute to be whole; besides, it reads everything, twice or more."""
BEGIN_S, BEGIN_AFTER_LARGE_S = 60, 180
"""How long a host may take until its writer answers: all log since the last page image is replayed,
and a large transaction may be in that as a whole."""
DISASTERS = (
    "kill the host",
    "kill the writer",
    "lose the directory",
    "lose a zone",
    "lose a zone and a segment",
    "corrupt and lose segments",
    "lose files under the writer",
    "a disk refuses",
    "rot",
)
HOST = Path(__file__).parent / "survival_host.py"


class Host:
    """The process that hosts the volume; it prints a line of JSON for each event."""

    def __init__(self, folder: Path, first: int, seed: int, bulk_mb: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, HOST, folder, str(first), str(seed), str(bulk_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.acknowledged: set[int] = set()
        self.present: set[int] = set()
        self.bulk_present: list[list[int]] = []
        self.bulk_rows: dict[int, int] = {}
        self.bulk_acknowledged = 0

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word.encode() + b"\n")
        self.process.stdin.flush()

    def listen(self, until: str, seconds: float = 60) -> None:
        """Take events until one of that name came."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
            line = self.process.stdout.readline()
            assert line, f"the host ended before {until!r}"
            if self._take(json.loads(line)) == until:
                return
        raise AssertionError(f"no {until!r} from the host within {seconds} s")

    def drain(self) -> None:
        """Take what a killed host still said; its last line may be cut short."""
        assert self.process.stdout is not None
        for line in self.process.stdout.read().split(b"\n"):
            if line.endswith(b"}"):
                self._take(json.loads(line))

    def _take(self, event: dict[str, object]) -> str:
        match event:
            case {"acknowledged": int(value)}:
                self.acknowledged.add(value)
                return "acknowledged"
            case {"present": list(values), "bulk": list(bulk)}:
                self.present = set(values)
                self.bulk_present = bulk
                return "present"
            case {"bulk_begun": int(number), "rows": int(rows)}:
                self.bulk_rows[number] = rows
                return "bulk_begun"
            case {"bulk_acknowledged": int(number)}:
                self.bulk_acknowledged = number
                return "bulk_acknowledged"
            case _:
                return str(event["event"])


@pytest.mark.slow
@pytest.mark.timeout(60 * ROUNDS + 120 + BULK_WAIT_S * sum(mb > 64 for mb in BULK_MB))
def test_every_acknowledged_commit_survives_every_disaster(
    engine_dir: Path, template: Template
) -> None:
    survive(engine_dir, template, ROUNDS, SEED, BULK_MB)


@pytest.mark.long
@pytest.mark.timeout(2400)  # it takes half of that beside another test
def test_every_acknowledged_commit_survives_a_hundred_disasters(
    engine_dir: Path, template: Template
) -> None:
    seed = random.randrange(1 << 30)
    print(f"python bench/survive.py --rounds {LONG_ROUNDS} --seed {seed}")  # shown on failure
    survive(engine_dir, template, LONG_ROUNDS, seed, LONG_BULK_MB)


def rot(volume: Path, rng: random.Random) -> str:
    """Damage one file of one segment: its state, the mark of a log file, log, an image."""
    segment = rng.choice(sorted(volume.glob("az-*/*")))
    files = [path for path in segment.rglob("*") if path.is_file() and path.stat().st_size]
    logs = [path for path in files if path.suffix == ".log"]
    small = [path for path in files if path.name in ("segment.json", "promised", "manifest.json")]
    pages = [path for path in files if "data" in path.parts]
    path = rng.choice(rng.choice([each for each in (logs, small, pages) if each]))
    content = bytearray(path.read_bytes())
    span = len(content.rstrip(b"\0")) or len(content)
    at = rng.randrange(48) if path in logs and rng.random() < 0.4 else rng.randrange(span)
    match rng.choice(("flip", "zero", "garbage", "truncate", "delete")):
        case "flip":
            content[at] ^= 1 << rng.randrange(8)
        case "zero":
            content[at : at + 4096] = bytes(min(4096, len(content) - at))
        case "garbage":
            length = min(512, len(content) - at)
            content[at : at + length] = rng.randbytes(length)
        case "truncate":
            del content[at:]
        case _:
            path.unlink()
            return f"{path} deleted"
    path.write_bytes(content)
    return f"{path} damaged at {at}"


def survive(
    engine_dir: Path, template: Template, rounds: int, seed: int, bulk_sizes: list[int]
) -> None:
    rng = random.Random(seed)
    folder = engine_dir / "cluster"
    volume = StorageVolume.create(
        folder / "volume",
        uuid.uuid4(),
        template.directory,
        user=template.user,
        system_identifier=new_system_identifier(),
        server_version=template.installation.version,
        wal_segment_bytes=1 << 20,
    )
    template.user.own(folder)
    volume.close()
    acknowledged: set[int] = set()
    first, rotten = 1, False
    bulk_rows: dict[int, int] = {}
    bulk_acknowledged = 0
    large = [each for each in bulk_sizes if each >= WAITED_FOR_MB][:rounds]
    rounds_with_large = dict(zip(rng.sample(range(rounds), len(large)), large, strict=True))
    bulk_sizes = [each for each in bulk_sizes if each < WAITED_FOR_MB] or [8]
    for number in range(rounds):
        disaster = DISASTERS[number] if number < len(DISASTERS) else rng.choice(DISASTERS)
        bulk_mb = rounds_with_large.get(number, rng.choice(bulk_sizes))
        begin_s = BEGIN_AFTER_LARGE_S if {number, number - 1} & {*rounds_with_large} else BEGIN_S
        began = present = time.monotonic()
        host = Host(folder, first, rng.randrange(1 << 30), bulk_mb)
        try:
            host.listen("present", begin_s)
            present = time.monotonic()
            assert acknowledged <= host.present, (number, sorted(acknowledged - host.present)[:10])
            if rotten:
                host.tell("be whole")
                host.listen("survived", WHOLE_AFTER_ROT_S)
            check_bulk(host.bulk_present, bulk_rows, bulk_acknowledged)
            enough = rng.randrange(20, 200)
            while len(host.acknowledged) < enough:
                host.listen("acknowledged")
            if bulk_mb >= WAITED_FOR_MB or number == 0:
                host.listen("bulk_acknowledged", BULK_WAIT_S)
            if disaster not in ("kill the host", "rot"):
                host.tell(disaster)
                host.listen("survived", 180)
        finally:
            host.process.kill()
            host.process.wait()
            host.drain()
            took = f"{time.monotonic() - began:.1f} s, of them {present - began:.1f} to begin"
            print(f"round {number}, {disaster}, {bulk_mb} MB: {took}")  # shown on failure
        acknowledged |= host.acknowledged
        bulk_rows |= host.bulk_rows
        bulk_acknowledged = max(bulk_acknowledged, host.bulk_acknowledged)
        first = max(*acknowledged, *bulk_rows) + 1000
        end_orphans(folder)
        rotten = disaster == "rot"
        if rotten:
            print(number, rot(folder / "volume", rng))
        if disaster == "corrupt and lose segments":
            victim = rng.choice(["a", "b", "c"])
            lost = sorted((folder / "volume" / f"az-{victim}").iterdir())
            shutil.rmtree(rng.choice(lost))
    check_with_amcheck(folder, template, acknowledged)


def check_bulk(present: list[list[int]], rows: dict[int, int], acknowledged: int) -> None:
    """The large transaction that was acknowledged last, or a later one: all of it, and no other."""
    if not acknowledged and not present:
        return
    ((number, count),) = present
    assert number >= acknowledged
    assert count == rows[number]


def check_with_amcheck(folder: Path, template: Template, acknowledged: set[int]) -> None:
    volume = StorageVolume.open(folder / "volume", template.directory, user=template.user)
    server = Postmaster(
        template.installation, template.user, folder / "data", folder / "s", folder / "log"
    )
    try:
        volume.rebuild(folder / "data")
        server.start({"fsync": False})
        base = ["-h", folder / "s", "-U", SUPERUSER]
        program = template.installation.program
        for command in (
            [program("psql"), *base, "-qc", "create extension amcheck", "postgres"],
            [program("pg_amcheck"), *base, "--heapallindexed", "--parent-check", "postgres"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, env=engine_environment())
            assert done.returncode == 0, done.stdout + done.stderr
        with superuser_connection(server) as conn:
            present = {row[0] for row in conn.execute("select x from t")}
        assert acknowledged
        assert acknowledged <= present
    finally:
        server.stop(Shutdown.IMMEDIATE)
        volume.close()
