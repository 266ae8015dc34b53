"""What is installed on demand, and what its absence says."""

from collections.abc import Iterator
from contextlib import contextmanager

from memory.errors import MissingExtraError

DISTRIBUTION = "borealis-postgres"


@contextmanager
def needed(extra: str, use: str) -> Iterator[None]:
    """Imports of an extra's packages within the block. Raises MissingExtraError without them.

    use: what they are imported for, as the subject of the message.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{use} needs packages that are not installed here ({error}): "
            f"pip install '{DISTRIBUTION}[{extra}]'"
        ) from error
