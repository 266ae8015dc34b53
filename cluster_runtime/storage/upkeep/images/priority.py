"""How processes step back behind commits, and come forward again.

The priority of their I/O stays as it is: what is written at a low one is waited for by the file
system's journal, and so by the log files that commits go on in.
"""

import os
import threading
from contextlib import suppress
from functools import cache

from cluster_runtime.storage.core.policy.coalescing import NICE, Politeness


@cache
def may_be_idle() -> bool:
    """Whether a process may run in idle time alone (SCHED_IDLE), and leave that again.

    Elsewhere than on Linux there is no such class; without privileges there may be no way back.
    """
    if not hasattr(os, "SCHED_IDLE"):
        return False
    found = []

    def to_and_fro() -> None:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            found.append(True)

    # It is a thread that has a class: this one ends here, whichever it is in.
    thread = threading.Thread(target=to_and_fro)
    thread.start()
    thread.join()
    return bool(found)


def set_priority(pid: int, politeness: Politeness) -> None:
    """Have a process be as polite as that, as far as this one may. Raises OSError where it is gone.

    A process that has been nice stays so without privileges.
    """
    if may_be_idle():
        policy = os.SCHED_IDLE if politeness is Politeness.IDLE else os.SCHED_OTHER
        os.sched_setscheduler(pid, policy, os.sched_param(0))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, own + NICE if politeness else own)
