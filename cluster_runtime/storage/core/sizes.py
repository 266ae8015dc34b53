"""The sizes in which a log is written and kept, in bytes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Those of the product are the defaults; the simulation takes small ones.

    first_file: of frames in the first log file of an epoch: a new cluster should cost little.
    file: of frames in every other one. ring: of the newest log in memory.
    batch: most WAL in one batch; a batch never spans two log files. write: most log in one write.
    """

    first_file: int = 1 << 20
    file: int = 8 << 20
    ring: int = 8 << 20
    batch: int = 256 * 1024
    write: int = 2 << 20

    @property
    def backlog(self) -> int:
        """Log that may wait for the write quorum before no more is taken from the writer."""
        return self.ring // 2


SIZES = Sizes()
