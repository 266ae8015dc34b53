"""What a synchronous call returns that may be awaited too."""

from collections.abc import Generator
from typing import Any


class Finished:
    """The work is done already: awaiting it returns at once.

    So `saver.setup()` and `await saver.setup()` both work, as in programs that were written for
    LangGraph's synchronous and for its asynchronous saver.
    """

    def __await__(self) -> Generator[Any, None, None]:
        """Nothing to wait for."""
        yield from ()
