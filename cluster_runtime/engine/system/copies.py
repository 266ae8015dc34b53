"""A copy of a template made ahead of need: what a data directory takes longest for.

One is kept for each template that was asked for, made in the background once the last one was
taken. A process that ends leaves it; the next one removes it.
"""

import shutil
import threading
import uuid
from pathlib import Path

from cluster_runtime.engine.sandbox.os_user import host_user
from cluster_runtime.engine.system.files import copy_tree
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger

AFTER_S = 0.2
"""After the last one was taken."""

_log = get_logger(__name__)


class CopiesAhead:
    """In one folder, of the host's own: a copy belongs to nobody else before it is taken.

    From any thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._user = folder, host_user()
        self._changing = threading.Lock()
        self._ready: dict[Path, Path] = {}
        self._making: dict[Path, threading.Thread] = {}
        self._closing = threading.Event()
        shutil.rmtree(folder, ignore_errors=True)

    def take(self, template: Path) -> Path | None:
        """A whole copy, which is the caller's from now on; None where none is ready."""
        with self._changing:
            return self._ready.pop(template, None)

    def prepare(self, template: Path) -> None:
        """Have the next one made in the background, unless one is there. Returns at once.

        A little later: whoever took the last one begins to work with it now.
        """
        with self._changing:
            if self._closing.is_set() or template in self._ready or template in self._making:
                return
            thread = threading.Thread(target=self._make, args=(template,), daemon=True)
            thread.name = "borealis-copies"
            self._making[template] = thread
            thread.start()

    def close(self) -> None:
        """Make no more, and remove what nobody took."""
        with self._changing:
            self._closing.set()
            making = list(self._making.values())
        for thread in making:
            thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self, template: Path) -> None:
        target = self._folder / uuid.uuid4().hex
        made = False
        self._closing.wait(AFTER_S)
        try:
            self._user.make_private_directory(self._folder)
            copy_tree(template, target, self._user)
            made = True
        except (OSError, BorealisError) as error:
            _log.warning("no copy is made ahead", template=str(template), error=str(error))
        with self._changing:
            del self._making[template]
            if made:
                self._ready[template] = target
