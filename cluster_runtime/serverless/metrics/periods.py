"""Which stretches of time statistics are asked for: CloudWatch's rules.

Source: CloudWatch API Reference, GetMetricStatistics (Period, StartTime), data type MetricStat.
"""

from typing import Final

from cluster_runtime.errors import InvalidParameterError

MINUTE_S: Final = 60
PERIOD_DEFAULT_S: Final = MINUTE_S
SHORT_PERIODS_S: Final = (1, 5, 10, 20, 30)
"""Those below a minute."""
PERIOD_MAX_S: Final = 86_400


def is_a_period(seconds: int) -> bool:
    """Whether statistics can be asked for by so many seconds."""
    return seconds in SHORT_PERIODS_S or (
        seconds > 0 and seconds % MINUTE_S == 0 and seconds <= PERIOD_MAX_S
    )


def check_period(seconds: int) -> None:
    """Raises InvalidParameterError unless it is a period."""
    if not is_a_period(seconds):
        raise InvalidParameterError(
            f"a period of {seconds} s is none; it must be 1, 5, 10, 20, 30 or a multiple of 60, "
            f"up to {PERIOD_MAX_S}"
        )


def begin(start: float, period: int) -> int:
    """Where the first period begins: the start, brought down to a division of a minute.

    That of the period where it is shorter than a minute, else the whole minute.
    """
    division = min(period, MINUTE_S)
    return int(start // division) * division
