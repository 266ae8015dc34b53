"""Processes of PostgreSQL as the host sees them: found, waited for, ended."""

import signal
import time
from pathlib import Path

import psutil

from cluster_runtime.engine.system.shared_memory import POLL_S, remove_left_behind


def end_orphans(folder: Path, users: frozenset[int] = frozenset()) -> list[int]:
    """End every PostgreSQL whose data directory lies below `folder`; return their pids.

    For the start of a host: whatever runs there then was left behind by one that was killed, and
    so was any process of `users`, which the clusters below `folder` have for themselves.
    """
    folder = folder.resolve()  # as the kernel says where a process is
    orphans = [
        process
        for process in psutil.process_iter(["name", "cwd", "uids"])
        if _below(process, folder) or _runs_as(process, users)
    ]
    makers = {process.pid: process.info["uids"].real for process in orphans}
    for process in orphans:
        try:
            process.send_signal(signal.SIGQUIT)
        except psutil.NoSuchProcess:
            continue
    alive = wait_until_gone(orphans, 5)
    for process in alive:
        kill_quietly(process)
    wait_until_gone(alive, 5)
    for pid, uid in makers.items():
        remove_left_behind(pid, uid)
    return [process.pid for process in orphans]


def wait_until_gone(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for their end; return those that run still.

    A zombie has ended: its memory, files and locks are free. The children of a killed postmaster
    are left to pid 1, which is slow to reap them or, in many a container, never does;
    `psutil.wait_procs` would wait for that.
    """
    deadline = time.monotonic() + timeout_s
    while alive := [process for process in processes if _lives(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    return alive


def children_of(pid: int) -> list[psutil.Process]:
    """All descendants of a process, while it lives."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill_quietly(process: psutil.Process) -> None:
    """SIGKILL; one that has ended meanwhile is as good."""
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _below(process: psutil.Process, folder: Path) -> bool:
    cwd, name = process.info["cwd"], process.info["name"]
    return bool(cwd and name and name.startswith("postgres") and Path(cwd).is_relative_to(folder))


def _runs_as(process: psutil.Process, users: frozenset[int]) -> bool:
    uids = process.info["uids"]
    return uids is not None and uids.real in users


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
