"""How a volume grows, and what it counts: protection groups, allocated storage, I/O operations.

A volume is a row of protection groups of 10 GiB; one is added whenever the database reaches into
the next, up to 256 TiB. Storage I/O is billed in two units: writes of log in 4 KiB, counted once
and not six times, and reads of pages in the page size of the engine, 8 KiB.

Source: Aurora User Guide, "Amazon Aurora storage" and "Amazon Aurora pricing"; Verbitski et al.
(SIGMOD 2017), section 2.2.
"""

from cluster_runtime.errors import InsufficientStorageError

GIB = 1 << 30
PROTECTION_GROUP_BYTES = 10 * GIB
VOLUME_MAX_BYTES = 256 * 1024 * GIB
WRITE_UNIT_BYTES = 4096
PAGE_BYTES = 8192


def protection_groups(database_bytes: int) -> int:
    """How many protection groups a database of that size takes; an empty one takes one.

    Raises InsufficientStorageError past 256 TiB.
    """
    if database_bytes > VOLUME_MAX_BYTES:
        raise InsufficientStorageError(
            f"a volume holds at most {VOLUME_MAX_BYTES // (1024 * GIB)} TiB; this database would "
            f"take {database_bytes / (1024 * GIB):.1f} TiB. Delete data or use another cluster"
        )
    return max(1, -(-database_bytes // PROTECTION_GROUP_BYTES))


def allocated_storage_gib(database_bytes: int) -> int:
    """AllocatedStorage as RDS shows it: whole GiB of the database, at least one."""
    return max(1, -(-database_bytes // GIB))


def write_ios(log_bytes: int) -> int:
    """I/O operations of one write of log to the volume, whatever number of copies it makes."""
    return -(-log_bytes // WRITE_UNIT_BYTES)


def read_ios(page_bytes: int) -> int:
    """I/O operations of a read of pages from the volume."""
    return -(-page_bytes // PAGE_BYTES)
