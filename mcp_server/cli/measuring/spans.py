"""Into how many parts a stretch of time is cut. Pure."""

from cluster_runtime.serverless.metrics.periods import MINUTE_S, SHORT_PERIODS_S
from cluster_runtime.serverless.metrics.ring import RESOLUTIONS

LONGEST_S = RESOLUTIONS[-1].seconds
"""How far back anything is kept."""


def period_of(seconds: int, parts: int) -> int:
    """The shortest period in which so many seconds have at most so many parts.

    None is shorter than what is kept for that long.
    """
    least = next((each.step for each in RESOLUTIONS if seconds <= each.seconds), MINUTE_S)
    for period in SHORT_PERIODS_S:
        if period >= least and period % least == 0 and seconds <= period * parts:
            return period
    return max(1, -(-seconds // (MINUTE_S * parts))) * MINUTE_S
