"""What it costs to make parameters of arrays and vectors: psycopg's and pgvector's way, and ours.

CPU time of this process for each value, the median of rounds; no server takes part.

    python bench/parameters.py [--rounds 31] [--dims 384] [--elements 20]
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from pgvector.psycopg import Vector
from psycopg.adapt import PyFormat, Transformer
from rich.console import Console
from rich.table import Table

sys.path.remove(str(Path(__file__).parent))  # or `memory` would be the bench of that name

from memory.database.arrays import ByteaArray, Int4Array

REPEATS = 50


def dumped(value: object, form: PyFormat = PyFormat.BINARY) -> Callable[[], object]:
    """What psycopg does to a parameter of a statement, a new one each time."""

    def work() -> object:
        transformer = Transformer(psycopg.adapters)
        return transformer.dump_sequence([value], [form])

    return work


def cpu_us(work: Callable[[], object], rounds: int) -> float:
    """Microseconds of CPU for one call: the median of rounds."""
    times = []
    for _ in range(rounds):
        started = time.thread_time()
        for _ in range(REPEATS):
            work()
        times.append((time.thread_time() - started) / REPEATS)
    return statistics.median(times) * 1e6


def literal(vector: list[float]) -> str:
    """A vector as text, with the digits that a float needs."""
    return f"[{','.join(map(repr, vector))}]"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--dims", type=int, default=384)
    parser.add_argument("--elements", type=int, default=20)
    options = parser.parse_args()
    chance = random.Random(1)
    blobs = [chance.randbytes(100) for _ in range(options.elements)]
    numbers = [chance.randrange(1 << 20) for _ in range(options.elements)]
    vector = [chance.gauss(0, 1) for _ in range(options.dims)]
    text, packed = literal(vector), Vector(vector).to_binary()
    cases: dict[str, Callable[[], object]] = {
        f"bytea[{options.elements}], psycopg's list": dumped(blobs),
        f"bytea[{options.elements}], ByteaArray": lambda: dumped(ByteaArray(blobs))(),
        f"int4[{options.elements}], psycopg's list": dumped(numbers),
        f"int4[{options.elements}], Int4Array": lambda: dumped(Int4Array(numbers))(),
        f"vector({options.dims}), own text": lambda: dumped(literal(vector), PyFormat.TEXT)(),
        f"vector({options.dims}), pgvector's text": lambda: Vector(vector).to_text(),
        f"vector({options.dims}), pgvector's binary": lambda: dumped(Vector(vector))(),
        f"read vector({options.dims}), text by json": lambda: json.loads(text),
        f"read vector({options.dims}), pgvector's binary": lambda: Vector.from_binary(
            packed
        ).to_list(),
    }
    table = Table("parameter", "CPU, us")
    for name, work in cases.items():
        table.add_row(name, f"{cpu_us(work, options.rounds):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
