"""Stretches of time as people say them, and into how many parts they are cut. Pure."""

import re

from cluster_runtime.serverless.metrics.periods import MINUTE_S, SHORT_PERIODS_S
from cluster_runtime.serverless.metrics.ring import RESOLUTIONS

LONGEST_S = RESOLUTIONS[-1].seconds
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"(\d{1,6})\s*([smhd])")


def seconds_of(text: str) -> int:
    """The seconds of `90s`, `10m`, `1h`, `1d`. Raises ValueError for anything else."""
    found = _SPAN.fullmatch(text.strip().lower())
    seconds = int(found[1]) * _UNITS[found[2]] if found is not None else 0
    if not 0 < seconds <= LONGEST_S:
        raise ValueError(
            f"{text!r} is no time to look back: it must be a number with s, m, h or d, at most 1d"
        )
    return seconds


def period_of(seconds: int, parts: int) -> int:
    """The shortest period in which so many seconds have at most so many parts.

    None is shorter than what is kept for that long.
    """
    least = next((each.step for each in RESOLUTIONS if seconds <= each.seconds), MINUTE_S)
    for period in SHORT_PERIODS_S:
        if period >= least and period % least == 0 and seconds <= period * parts:
            return period
    return max(1, -(-seconds // (MINUTE_S * parts))) * MINUTE_S
