"""The host of a state directory for those who run it: who it is, its end, and its successor."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from cluster_runtime.api.calls import HostStatus
from cluster_runtime.api.client.finding import read_facts
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.state_directory import holder_of, is_hosted, prepare
from cluster_runtime.engine.system.locks import exclusive
from cluster_runtime.engine.system.processes import wait_until_gone
from cluster_runtime.errors import HostUnavailableError, StateDirectoryInUseError
from cluster_runtime.host.attached import Attached, find
from cluster_runtime.host.attaching import SILENT_SECONDS_MAX
from cluster_runtime.host.log_limits import LogLimits
from cluster_runtime.host.starting import START_LOCK
from cluster_runtime.wording import Parameter

if TYPE_CHECKING:
    from cluster_runtime.host.hosted import Hosted


def host_status(state_dir: Path) -> HostStatus | None:
    """Who hosts a state directory, and for whom; None where nobody does.

    Raises what `cluster_runtime.host.attached.find` raises.
    """
    directory = prepare(state_dir)
    if find(directory) is None:
        return None
    attached = Attached.open(directory, [])
    try:
        return attached.host_status()
    finally:
        attached.close()


@contextmanager
def serving(
    state_dir: Path,
    options: RuntimeOptions,
    *,
    replace: bool = False,
    log: LogLimits | None = None,
) -> "Iterator[Hosted]":
    """Host a state directory in this process, until the block ends.

    replace: end the present host first. log: write `log/host.log`, as large as that.
    Raises what `Hosted.open` raises, and as `end_host`.
    """
    # Whoever only looks who hosts does not wait for the engine.
    from cluster_runtime.host.hosted import Hosted
    from cluster_runtime.host.log_file import logging_to_file

    directory = prepare(state_dir)
    with ExitStack() as until_the_end:
        # Whoever is attached would start another host between the end of the one and of the other.
        with exclusive(directory / START_LOCK):
            if replace:
                end_host(directory)
            if log is not None:
                until_the_end.enter_context(logging_to_file(directory, log))
            hosted = Hosted.open(directory, options, "serve")
        until_the_end.callback(hosted.close)
        yield hosted


def end_host(state_dir: Path) -> int | None:
    """Have the present host end in good order, and wait for it; its process, None where none is.

    Raises StateDirectoryInUseError for a program that hosts for itself, or that is of a release
    without hosts: only its user may end it. Raises HostUnavailableError for one that does not end.
    """
    directory = prepare(state_dir)
    if not is_hosted(directory):
        return None
    facts, holder = read_facts(directory), holder_of(directory)
    if facts is None or str(facts.pid) != holder or facts.kind == "program":
        raise StateDirectoryInUseError(
            f"state directory {directory} is hosted by process {holder}, a program that others "
            "may not end; end it there, or name another directory with ",
            Parameter("state_dir"),
        )
    with suppress(psutil.NoSuchProcess):  # it has ended by itself just now
        process = psutil.Process(facts.pid)
        process.terminate()
        if wait_until_gone([process], SILENT_SECONDS_MAX):
            raise HostUnavailableError(
                f"process {holder}, the host of {directory}, does not end; kill -9 {holder} is "
                "safe: nothing that was committed is lost"
            )
    return facts.pid
