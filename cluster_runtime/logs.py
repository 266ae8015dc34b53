"""Log events with fields, handed to the standard library's logging.

A host application decides where they go; by itself this package prints nothing below a warning,
and never on standard output, which belongs to whoever speaks a protocol there.
"""

import logging
from typing import cast

import structlog

_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.stdlib.filter_by_level,
    structlog.processors.format_exc_info,
    structlog.processors.LogfmtRenderer(key_order=["event"], bool_as_flag=False),
]


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger of events: `log.info("cluster paused", cluster=identifier)`."""
    return cast(
        structlog.stdlib.BoundLogger,
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=_PROCESSORS,
            wrapper_class=structlog.stdlib.BoundLogger,
        ),
    )
