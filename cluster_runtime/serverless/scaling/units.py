"""What an ACU is, and in which steps it is counted.

Source: Aurora User Guide, "Aurora serverless capacity": about 2 GiB of memory, "corresponding CPU,
and networking", 0 to 256 in steps of 0.5. How much CPU that is, the guide does not say.
"""

import math
from dataclasses import dataclass, fields

ACU_STEP = 0.5
ACU_MAX = 256.0
LEAST_RUNNING_ACU = 0.5
"""Of an instance that runs; 0 is one that is paused, which is not for this policy to decide."""

GIB = 1024**3
ROUNDING_SLACK = 1e-9
"""So that 0.3 / 0.1 steps are three, in spite of binary fractions."""


@dataclass(frozen=True, slots=True)
class CapacityUnit:
    """What one ACU brings. All are positive, or ValueError is raised.

    memory_bytes: Aurora User Guide.
    cores: 0.25; the size of the r-classes of Aurora, which have 8 GiB for each vCPU.
    network_bytes_per_second: db.r6g.16xlarge has 512 GiB, which is 256 ACU, and 25 Gbit/s.
    io_per_second: reads and writes of storage together. Assumed: Aurora names no limit.
    """

    memory_bytes: float = 2.0 * GIB
    cores: float = 0.25
    network_bytes_per_second: float = 25e9 / 8 / 256
    io_per_second: float = 1000.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{each.name} of an ACU is {value}; it must be more than 0")


ACU = CapacityUnit()


def rounded_up(acu: float) -> float:
    """The least capacity in whole steps that is enough."""
    return math.ceil(acu / ACU_STEP - ROUNDING_SLACK) * ACU_STEP


def rounded_down(acu: float) -> float:
    """The most capacity in whole steps that is no more than this."""
    return math.floor(acu / ACU_STEP + ROUNDING_SLACK) * ACU_STEP


def check_capacity(name: str, acu: float) -> None:
    """Raises ValueError unless it is 0 to 256 ACU in steps of 0.5."""
    if not 0 <= acu <= ACU_MAX or acu % ACU_STEP:
        raise ValueError(f"{name} is {acu} ACU; it must be from 0 to 256 in steps of 0.5")


def check_range(minimum: float, maximum: float) -> None:
    """Raises ValueError unless an instance that runs can be scaled between them."""
    check_capacity("minimum", minimum)
    check_capacity("maximum", maximum)
    if maximum < max(minimum, LEAST_RUNNING_ACU):
        raise ValueError(
            f"maximum is {maximum:g} ACU; it must be at least 0.5 and not below the minimum, "
            f"which is {minimum:g}"
        )
