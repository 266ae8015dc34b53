"""Background hosts that a test had started: each is ended by its process id."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from cluster_runtime.control.state_directory import holder_of, is_hosted
from cluster_runtime.engine.processes import end_orphans
from cluster_runtime.host.place import read_facts
from tests.waiting import wait_until


def host_of(state_dir: Path) -> psutil.Process | None:
    """The process that hosts a state directory, if one does."""
    if not is_hosted(state_dir):
        return None
    return psutil.Process(int(holder_of(state_dir)))


def end_hosts(folder: Path) -> None:
    """End the hosts of all state directories below a folder, and what killed ones left behind."""
    for said in folder.rglob("host.json"):
        facts = read_facts(said.parent)
        if facts is not None and facts.pid != os.getpid() and is_hosted(said.parent):
            with suppress(ProcessLookupError):
                os.kill(facts.pid, signal.SIGTERM)
            wait_until(lambda state=said.parent: not is_hosted(state), 60)
    end_orphans(folder)
