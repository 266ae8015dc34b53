"""Log events with fields, handed to the standard library's logging.

A host application decides where they go; by itself this package prints nothing below a warning,
and never on standard output, which belongs to whoever speaks a protocol there.
"""

import logging
from collections.abc import Mapping
from typing import Any

FIELDS = "borealis_fields"
"""The attribute of a log record that has the event and its fields, for handlers that keep them."""


class EventLogger:
    """A logger of events: `log.info("cluster paused", cluster=identifier)`.

    structlog writes them; it is loaded with the first event that somebody wants to read, for a
    command that logs nothing would wait for it longer than for its own work.
    """

    def __init__(self, logger: logging.Logger, fields: Mapping[str, Any] | None = None) -> None:
        self._logger = logger
        self._fields = dict(fields or {})

    def bind(self, **fields: Any) -> "EventLogger":
        """A logger whose events have these fields as well."""
        return EventLogger(self._logger, self._fields | fields)

    def debug(self, event: str, **fields: Any) -> None:
        """Log an event that only helps to find faults."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log an event of ordinary work."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log an event that somebody should look at."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log an event that kept something from being done."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the traceback of the exception being handled."""
        self._log(logging.ERROR, event, {"exc_info": True, **fields})

    def _log(self, level: int, event: str, fields: Mapping[str, Any]) -> None:
        if not self._logger.isEnabledFor(level):
            return
        from structlog import processors

        method = logging.getLevelName(level).lower()
        said = processors.format_exc_info(
            self._logger, method, {"event": event, **self._fields, **fields}
        )
        render = processors.LogfmtRenderer(key_order=["event"], bool_as_flag=False)
        self._logger.log(level, render(self._logger, method, dict(said)), extra={FIELDS: said})


def get_logger(name: str) -> EventLogger:
    """The logger of a module, which takes events with fields."""
    return EventLogger(logging.getLogger(name))
