"""A process that hosts a state directory and does nothing else, until it is told to end or idle."""

import argparse
import json
import logging
import logging.handlers
import os
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.errors import BorealisError
from cluster_runtime.gateway import GatewayLimits
from cluster_runtime.host.hosted import Hosted
from cluster_runtime.host.idling import IDLE_SECONDS
from cluster_runtime.host.starting import LOG, tell_error, tell_ready
from cluster_runtime.host.wire.codec import decode
from cluster_runtime.logs import get_logger

LOG_BYTES_MAX = 1 << 20
LOGS_KEPT = 3
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_log = get_logger(__name__)


def main(arguments: list[str]) -> int:
    """Host until nobody needs it, or a signal says so; the exit status."""
    parser = argparse.ArgumentParser("cluster_runtime.host", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--options", default="{}", help="RuntimeOptions as JSON")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--ready", type=int, required=True, help="descriptor to tell when ready")
    given = parser.parse_args(arguments)
    _log_to(given.directory / LOG)
    options = _options(json.loads(given.options))
    if options.endpoint_port is None:
        options = replace(options, endpoint_port=0)
    try:
        hosted = Hosted.open(given.directory, options, "background", given.idle_seconds)
    except BorealisError as error:
        _log.error("host does not start", error=str(error))
        tell_error(given.ready, error)
        return 1
    try:
        tell_ready(given.ready)
        wait(hosted)
    finally:
        hosted.close()
    return 0


def wait(hosted: Hosted) -> None:
    """Wait until a signal says so, or nobody has needed the host for long enough.

    For the main thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def tell(*_: object) -> None:
        with suppress(BlockingIOError):  # told often enough
            os.write(writing, b"!")

    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, tell)
    try:
        unneeded = hosted.thread.submit(hosted.door.unneeded())
        unneeded.add_done_callback(tell)
        os.read(reading, 1)
        _log.info("host ends", idle=unneeded.done())
        unneeded.cancel()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _options(data: Any) -> RuntimeOptions:
    limits = decode(GatewayLimits, data.pop("gateway_limits", None))
    return RuntimeOptions(**data, gateway_limits=limits)


def _log_to(file: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(
        file, maxBytes=LOG_BYTES_MAX, backupCount=LOGS_KEPT, encoding="utf-8"
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", handlers=[handler])
    logging.getLogger("cluster_runtime").setLevel(logging.INFO)
