"""The log of a host: `log/host.log` in the state directory, JSON lines, rotated, for its owner.

What another package logs becomes such a line too. No secret gets in (`cluster_runtime.redaction`).
"""

import io
import json
import logging
import os
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from cluster_runtime.host.log_limits import LogLimits
from cluster_runtime.logs import FIELDS
from cluster_runtime.redaction import redacted, redacted_fields

LOG = "log/host.log"
"""Where it is in the state directory; older files are `host.log.1` and so on."""


class JsonLines(logging.Formatter):
    """One JSON object on a line for each record: time (UTC), level, logger, event, its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        said = dict(getattr(record, FIELDS, None) or self._foreign(record))
        head = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redacted(str(said.pop("event"))),
        }
        return json.dumps(head | redacted_fields(said) | head, ensure_ascii=False)

    def _foreign(self, record: logging.LogRecord) -> dict[str, str]:
        said = {"event": record.getMessage()}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return said


class HostLogHandler(RotatingFileHandler):
    """Writes the log of a host; makes its folder, and lets its owner alone read both.

    Another process may move the file away, a host that takes over or logrotate: it is opened again.
    """

    def __init__(self, state_directory: Path, limits: LogLimits) -> None:
        file = state_directory / LOG
        file.parent.mkdir(mode=0o700, exist_ok=True)
        super().__init__(
            file,
            maxBytes=limits.bytes_max,
            # RotatingFileHandler keeps one file that only grows where it may keep no other.
            backupCount=max(limits.files_max - 1, 1),
            encoding="utf-8",
        )
        self.setFormatter(JsonLines())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            if self.stream is not None and _moved(self.stream, self.baseFilename):
                self.stream.close()
                self.stream = self._open()
        except OSError:
            self.handleError(record)  # as the standard library does: nobody fails for his log
        else:
            super().emit(record)

    def _open(self) -> io.TextIOWrapper:
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(file, 0o600)
        return io.TextIOWrapper(
            open(file, "ab"), encoding="utf-8", errors="backslashreplace", write_through=True
        )


@contextmanager
def logging_to_file(state_directory: Path, limits: LogLimits) -> Iterator[None]:
    """Within the block this process, a host, logs there too: warnings, and our events from INFO on.

    What other handlers show stays as it is.
    """
    handler = HostLogHandler(state_directory, limits)
    root, ours = logging.getLogger(), logging.getLogger("cluster_runtime")
    others = [(each, each.level) for each in root.handlers]
    level_of_ours = ours.level
    for each, level in others:
        # The level of a logger holds for all handlers: those that were there keep to the former.
        each.setLevel(max(level, root.level))
    root.addHandler(handler)
    ours.setLevel(min(logging.INFO, root.level))
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()
        ours.setLevel(level_of_ours)
        for each, level in others:
            each.setLevel(level)


def last_lines(state_directory: Path, lines: int) -> list[str]:
    """The newest lines of the log, oldest first, from as many of its files as that takes."""
    file = state_directory / LOG
    with ExitStack() as opened:
        log = _opened(opened, file)
        return _with_older(log.read() if log is not None else "", file, lines)


def follow_lines(
    state_directory: Path, lines: int, every_seconds: float
) -> Generator[str, None, None]:
    """The newest lines, and then without end those that come, also where the log is rotated."""
    file = state_directory / LOG
    with ExitStack() as opened:
        log = _opened(opened, file)
        *whole, begun = (log.read() if log is not None else "").split("\n")
        yield from _with_older("\n".join(whole), file, lines)
        while True:
            moved = log is None or _moved(log, str(file))
            if log is not None:
                # Looked before read: whoever moved it away had written his last line by then.
                *whole, begun = (begun + log.read()).split("\n")
                yield from whole
            if moved:
                opened.close()
                log = _opened(opened, file)
                begun = ""
            if not moved or log is None:
                time.sleep(every_seconds)


def _with_older(text: str, file: Path, lines: int) -> list[str]:
    """The last lines of a text, with those of older files before them."""
    found = deque(_lines(text), lines)
    number = 1
    with suppress(FileNotFoundError):  # the oldest, or rotated meanwhile
        while len(found) < lines:
            older = file.with_name(f"{file.name}.{number}").read_text("utf-8", "replace")
            found.extendleft(_lines(older)[: -(lines - len(found)) - 1 : -1])
            number += 1
    return list(found)


def _lines(text: str) -> list[str]:
    """Not `splitlines`, which ends a line at characters that JSON may have within one."""
    return text.removesuffix("\n").split("\n") if text else []


def _opened(stack: ExitStack, file: Path) -> io.TextIOWrapper | None:
    with suppress(FileNotFoundError):
        return stack.enter_context(file.open(encoding="utf-8", errors="replace"))
    return None


def _moved(stream: io.TextIOWrapper, name: str) -> bool:
    try:
        now = os.stat(name)
    except FileNotFoundError:
        return True
    ours = os.fstat(stream.fileno())
    return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)
