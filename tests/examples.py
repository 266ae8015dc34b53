"""How much a test tries: a part of it in `make test`, all of it in `make test-long`."""

import os

ALL = os.environ.get("BOREALIS_TEST_EXAMPLES") == "all"
ONE_OF = 5
FEW = 10
"""So many are always tried."""


def examples(count: int) -> int:
    """How many of `count` examples this run tries."""
    return count if ALL else max(count // ONE_OF, min(count, FEW))
