"""A process that hosts a state directory and does nothing else, until it is told to end or idle."""

import argparse
import gc
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster_runtime import tracing
from cluster_runtime.api.protocols.codec import decode
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.engine.system.resources import saying_no_space
from cluster_runtime.errors import BorealisError, InsufficientStorageError
from cluster_runtime.gateway import GatewayLimits
from cluster_runtime.host.hosted import Hosted
from cluster_runtime.host.idling import IDLE_SECONDS
from cluster_runtime.host.log_file import logging_to_file
from cluster_runtime.host.log_limits import LogLimits
from cluster_runtime.host.starting import tell_error, tell_ready
from cluster_runtime.logs import get_logger
from cluster_runtime.serverless.options import CapacityOptions

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TOLD = b"!"
"""No number of a signal that ends a host."""

_log = get_logger(__name__)


def main(arguments: list[str]) -> int:
    """Host until nobody needs it, or a signal says so; the exit status."""
    parser = argparse.ArgumentParser("cluster_runtime.host", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--options", default="{}", help="RuntimeOptions as JSON")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS)
    parser.add_argument("--ready", type=int, required=True, help="descriptor to tell when ready")
    given = parser.parse_args(arguments)
    options = _options(json.loads(given.options))
    if options.endpoint_port is None:
        options = replace(options, endpoint_port=0)
    with ExitStack() as until_the_end:
        try:
            with saying_no_space(given.directory):
                log = logging_to_file(given.directory, LogLimits.of(os.environ))
                until_the_end.enter_context(log)
        except InsufficientStorageError as error:
            tell_error(given.ready, error)
            return 1
        until_the_end.enter_context(tracing.exporting(os.environ))
        return _host(given.directory, options, given.idle_seconds, given.ready)


def wait(hosted: Hosted) -> None:
    """Wait until a signal says so, or nobody has needed the host for long enough.

    For the main thread.
    """
    with _told_to_end() as until_end:
        until_end(hosted)


@contextmanager
def _told_to_end() -> Iterator[Callable[[Hosted], None]]:
    """From now on a signal is remembered; what is given waits for one, or until nobody needs it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def tell(*_: object) -> None:
        with suppress(BlockingIOError):  # told often enough
            os.write(writing, TOLD)

    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, tell)
    # A handler runs between two steps of the interpreter: a read would sleep through a signal that
    # comes just before it. The number of a signal is written at once.
    written_to = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    told = {TOLD, *(bytes([number]) for number in ENDING)}

    def until_end(hosted: Hosted) -> None:
        unneeded = hosted.thread.submit(hosted.door.unneeded())
        unneeded.add_done_callback(tell)
        while os.read(reading, 1) not in told:
            continue
        _log.info("host ends", idle=unneeded.done())
        unneeded.cancel()

    try:
        yield until_end
    finally:
        signal.set_wakeup_fd(written_to)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


def _host(directory: Path, options: RuntimeOptions, idle_seconds: float, ready: int) -> int:
    # What was loaded stays: to look at it each time takes longer than all that comes and goes.
    gc.freeze()
    try:
        hosted = Hosted.open(directory, options, "background", idle_seconds)
    except BorealisError as error:
        _log.error("host does not start", error=str(error))
        tell_error(ready, error)
        return 1
    try:
        hosted.thread.call(hosted.service.stay_small())
        with _told_to_end() as until_end:  # whoever is told that it is ready may end it at once
            tell_ready(ready)
            _log.info("host begins", pid=os.getpid(), version=version("borealis-postgres"))
            until_end(hosted)
    finally:
        hosted.close()
    return 0


def _options(data: Any) -> RuntimeOptions:
    limits = decode(GatewayLimits, data.pop("gateway_limits", None))
    capacity = decode(CapacityOptions, data.pop("capacity", None))
    return RuntimeOptions(**data, gateway_limits=limits, capacity=capacity)
