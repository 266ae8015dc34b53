"""Background hosts that a test had started: each is ended by its process id."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from cluster_runtime.control.records.state_directory import holder_of, is_hosted
from cluster_runtime.engine.system.processes import end_orphans, wait_until_gone

WHERE = ("host.json", "*/host.json", "*/*/host.json")


def host_of(state_dir: Path) -> psutil.Process | None:
    """The process that hosts a state directory, if one does."""
    if not is_hosted(state_dir):
        return None
    try:
        return psutil.Process(int(holder_of(state_dir)))
    except psutil.NoSuchProcess:
        return None


def end_hosts(folder: Path, *, orphans: bool = False) -> None:
    """End the hosts of the state directories in a folder; orphans: and what killed ones left."""
    for said in [one for pattern in WHERE for one in folder.glob(pattern)]:
        while (host := host_of(said.parent)) is not None and host.pid != os.getpid():
            with suppress(psutil.NoSuchProcess):
                host.send_signal(signal.SIGTERM)
            assert wait_until_gone([host], 60) == []
    if orphans:
        end_orphans(folder)
