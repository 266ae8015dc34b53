"""The process that makes images: it begins with each run of the coalescer, and beside commits."""

import json
import subprocess
import sys

HEAVY = {"asyncio", "psutil", "psycopg", "pydantic", "ssl", "structlog"}
LOADED = """
import json, sys
import cluster_runtime.storage.upkeep.images.image_maker
print(json.dumps([*sys.modules]))
"""


def test_it_loads_no_more_than_it_copies_and_sums_up_with() -> None:
    said = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, check=True).stdout
    assert {name.partition(".")[0] for name in json.loads(said)} & HEAVY == set()
