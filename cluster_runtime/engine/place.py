"""What the place is like that clusters live in: the file system, its disk, the limits, the names.

Each is looked at or tried now.
"""

import os
import resource
import socket
import statistics
import tempfile
import time
from pathlib import Path

import psutil

FLUSHES = 16
FLUSH_BYTES = 8192
IPV6_LOOPBACK = "::1"
ENDPOINT_OF_NOBODY = "doctor.cluster-0.us-east-1.localhost"

IN_MEMORY = frozenset({"tmpfs", "ramfs", "devfs"})
OVER_A_NETWORK = frozenset(
    {"9p", "afpfs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs"}
)


def file_system_of(folder: Path) -> str:
    """The type of the file system that a folder is on, such as `ext4`; "" where nobody says."""
    folder = folder.resolve()
    best = (0, "")
    for mount in psutil.disk_partitions(all=True):
        if folder.is_relative_to(mount.mountpoint):
            best = max(best, (len(mount.mountpoint), mount.fstype))
    return best[1]


def flush_seconds(folder: Path) -> float:
    """The median of some writes of 8 KiB that wait for the disk, as a commit does."""
    handle, name = tempfile.mkstemp(prefix=".borealis-doctor-", dir=folder)
    try:
        taken = []
        for _ in range(FLUSHES):
            os.write(handle, bytes(FLUSH_BYTES))
            started = time.perf_counter()
            os.fsync(handle)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)
    finally:
        os.close(handle)
        os.unlink(name)


def descriptors_max() -> int | None:
    """How many files a process may have open once it has asked for all; None for no limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if hard == resource.RLIM_INFINITY else hard


def endpoint_names_resolve() -> bool:
    """Whether this machine finds 127.0.0.1 or ::1 under the name of an endpoint."""
    found = addresses_of_endpoints()
    return bool(found) and all(address in ("127.0.0.1", IPV6_LOOPBACK) for address in found)


def addresses_of_endpoints() -> list[str]:
    """What this machine finds under the name of an endpoint, in the order it is tried."""
    try:
        found = socket.getaddrinfo(ENDPOINT_OF_NOBODY, 5432, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []
    return [str(address[0]) for *_, address in found]


def ipv6_loopback() -> str:
    """Why nobody can listen on ::1 here; empty where one can."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind((IPV6_LOOPBACK, 0))
    except OSError as error:
        return error.strerror or str(error)
    return ""
