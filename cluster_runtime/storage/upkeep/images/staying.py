"""Images and log stay while somebody reads them; who removes what nobody needs waits for that."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Staying:
    """A lock that any number of readers share, and that one who removes something has alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._removing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nothing is removed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._removing)
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def removing(self) -> Iterator[None]:
        """Nobody reads meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._removing and not self._readers)
            self._removing = True
        try:
            yield
        finally:
            with self._changed:
                self._removing = False
                self._changed.notify_all()
