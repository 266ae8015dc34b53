"""What is said where the system takes nothing of what a command writes."""

import errno
import os
import sys

_TAKES_NO_MORE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def told(error: OSError) -> str | None:
    """A line about an error of the system's; None where it says nothing that helps."""
    if error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if error.errno not in _TAKES_NO_MORE:
        return None
    # What standard output did not take, the interpreter would try again at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"what there is to say cannot be written: {error.strerror}"
