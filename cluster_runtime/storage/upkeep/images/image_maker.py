"""Page images are made by a process of their own.

Copying and summing up thousands of files is work for the interpreter, and the storage node, which
every commit goes through, would have to wait for the interpreter lock again and again. The process
lives while one run of the coalescer gives out its image, and ends with this one.

One line of JSON for each task, one for its answer.
"""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, Self

from cluster_runtime.engine import children
from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.policy.coalescing import Politeness
from cluster_runtime.storage.disk.page_images import (
    ImageFile,
    files_of,
    images,
    make_image,
    sweep,
)
from cluster_runtime.storage.upkeep.images.interruption import InterruptedCoalescingError
from cluster_runtime.storage.upkeep.images.priority import set_priority

POLL_S = 0.1
STRETCH_BYTES = 2 << 20
REST_MAX_S = 0.1
RESTS = 2.0

_ROOT = Path(__file__).parents[3]


class Maker(Protocol):
    """What makes images, wherever it does."""

    def make(self, folder: Path, source: Path, *, redo: int, lsn: int, timeline: int) -> None:
        """Make an image of a directory in a segment's folder. Raises OSError, StorageError."""

    def sweep(self, folder: Path) -> None:
        """Delete what was given up in a segment's folder. Raises OSError."""


class ImageMaker:
    """The process as its parent sees it, from enter to exit."""

    def __init__(self, stopped: Callable[[], bool], politeness: Callable[[], Politeness]) -> None:
        """stopped: asked whether to end before a task is done; that raises
        InterruptedCoalescingError. politeness: asked again and again how polite to be.
        """
        self._stopped = stopped
        self._politeness = politeness
        self._told = Politeness.NONE
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
        self._process = children.start(
            [sys.executable, "-m", __name__, str(int(self._politeness()))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._prioritise()
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout):
            if end is not None:
                with suppress(BrokenPipeError):  # what it was still to be told
                    end.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def make(self, folder: Path, source: Path, *, redo: int, lsn: int, timeline: int) -> None:
        """Make an image of a directory in a segment's folder. Raises OSError, StorageError."""
        self._do(
            "make", folder=str(folder), source=str(source), redo=redo, lsn=lsn, timeline=timeline
        )

    def sweep(self, folder: Path) -> None:
        """Delete what was given up in a segment's folder. Raises OSError."""
        self._do("sweep", folder=str(folder))

    def _do(self, task: str, **values: str | int) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps({"task": task, **values}).encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        answered = select.poll()  # select takes no descriptor above 1023
        answered.register(stdout, select.POLLIN)
        while not answered.poll(POLL_S * 1000):
            self._prioritise()
            if self._stopped():
                raise InterruptedCoalescingError("coalescing was interrupted between two files")
        line = stdout.readline()
        if not line.endswith(b"\n"):
            raise self._died()
        answer: dict[str, Any] = json.loads(line)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["error"], answer["path"])

    def _prioritise(self) -> None:
        level = self._politeness()
        if level is not self._told:
            self._told = level
            with suppress(OSError):  # where it is gone, that is found soon
                set_priority(self._process.pid, level)

    def _died(self) -> StorageError:
        return StorageError(
            f"the process that makes page images ended with code {self._process.wait()}"
        )


class Pace:
    """Writes a little, waits until that is on the disk, and rests for longer than that took.

    So a commit's write never stands behind more than a little.
    """

    def __init__(self, rest: float) -> None:
        """rest: in units of the time that the work took; 0: do not rest, and do not wait."""
        self._rest = rest
        self._written = 0
        self._began = time.monotonic()

    def __call__(self, fd: int, count: int) -> None:
        """Note `count` bytes written to `fd`, and rest when it is time to."""
        self._written += count
        if not self._rest or self._written < STRETCH_BYTES:
            return
        os.fsync(fd)
        time.sleep(min((time.monotonic() - self._began) * self._rest, REST_MAX_S))
        self._written, self._began = 0, time.monotonic()


def main() -> None:
    """What the process does."""
    pace = Pace(RESTS if Politeness(int(sys.argv[1])) else 0.0)
    lines = sys.stdin.buffer
    tasks: list[bytes] = []
    come = threading.Condition()

    def listen() -> None:
        while line := lines.readline():
            with come:
                tasks.append(line)
                come.notify()
        os._exit(1)  # the parent is gone, or has no use for what is under way

    threading.Thread(target=listen, daemon=True).start()
    files_known: tuple[ImageFile, ...] | None = None
    while True:
        with come:
            while not tasks:
                come.wait()
            line = tasks.pop(0)
        answer: dict[str, object] = {}
        try:
            task: dict[str, Any] = json.loads(line)
            folder = Path(task["folder"])
            if task["task"] == "make":
                source = Path(task["source"])
                if files_known is None:
                    last = images(folder)
                    files_known = files_of(source, last[-1].files if last else ())
                place = {name: task[name] for name in ("redo", "lsn", "timeline")}
                make_image(folder, source, files_known=files_known, pace=pace, **place)
            else:
                sweep(folder)
        except OSError as error:
            answer = {"errno": error.errno, "error": error.strerror, "path": error.filename}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
