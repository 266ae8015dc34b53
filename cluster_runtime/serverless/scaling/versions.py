"""Platform versions of Aurora serverless, and how fast each moves capacity: named numbers.

Amazon publishes what a version can do, not by which constants. So each number here is either
documented or fitted, and `docs/serverless.md` says to what. One set of numbers per version is used
everywhere: by live clusters and in all simulations.

Sources: Aurora User Guide, "Aurora serverless capacity" (ranges, and 30 % more performance in
version 3 than in 2, and in 4 than in 3) and "Aurora serverless scaling" ("the larger the current
capacity, the larger the scaling increment"); Barnhart et al., "Resource Management in Aurora
Serverless" (VLDB 2024), section on the token bucket that limits how fast an instance grows;
re:Invent 2025, DAT441; AWS What's New, "Amazon Aurora serverless now scales faster" (2026).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

BASELINE_PERFORMANCE = 1.0
PERFORMANCE_STEP = 1.3
"""From version 2 to 3, and from 3 to 4: "up to 30% improved performance" (Aurora User Guide)."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How fast capacity goes up and down. Credits are ACU: growing by one costs one.

    credits_max: the size of the bucket; a cluster begins with a full one.
    credits_per_second: refill, whatever the capacity.
    credits_per_second_per_acu: refill for each ACU of current capacity.
    blind_per_second: ACU that it adds in a second, and at least, when everything is in use, so that
        nothing says how much more is needed.
    trigger_seconds: it also looks this often between ticks whether everything is in use; None: no.
    settle_seconds: capacity goes down to no less than what was needed at any time in these.
    down_per_second: share of the current capacity that it gives back each second,
    down_acu_per_second: and ACU besides.
    """

    name: str
    credits_max: float
    credits_per_second: float
    credits_per_second_per_acu: float
    blind_per_second: float
    trigger_seconds: float | None
    settle_seconds: float
    down_per_second: float
    down_acu_per_second: float


@dataclass(frozen=True, slots=True)
class PlatformVersion:
    """What a ServerlessV2PlatformVersion can do.

    number: RDS's name of it. maximum: most ACU. performance: work that a core does in a second, of
    that in version 2.
    """

    number: str
    maximum: float
    performance: float
    scaling: Scaling

    @property
    def name(self) -> str:
        """Such as `2` or, with other scaling than it had at first, `2+fast`."""
        usual = VERSIONS[self.number].scaling == self.scaling
        return self.number if usual else f"{self.number}+{self.scaling.name}"


STANDARD = Scaling(
    "standard",
    credits_max=4.0,
    credits_per_second=0.15,
    credits_per_second_per_acu=0.004,
    blind_per_second=0.5,
    trigger_seconds=None,
    settle_seconds=44.0,
    down_per_second=0.016,
    down_acu_per_second=0.14,
)
"""Up to 2025. Fitted, with FAST, to DAT441: on a sysbench run of about 210 ACU, FAST holds the peak
3.6 times as long, is down again in 40 % less time, and takes 9 % fewer ACU-hours."""

FAST = Scaling(
    "fast",
    credits_max=32.0,
    credits_per_second=2.0,
    credits_per_second_per_acu=0.04,
    blind_per_second=4.0,
    trigger_seconds=0.25,
    settle_seconds=10.0,
    down_per_second=0.024,
    down_acu_per_second=0.2,
)
"""Of 2025. Fitted as STANDARD is."""

SMART = replace(
    FAST,
    name="smart",
    credits_max=44.0,
    credits_per_second=3.0,
    credits_per_second_per_acu=0.07,
    blind_per_second=8.0,
    settle_seconds=5.0,
    down_per_second=0.05,
    down_acu_per_second=0.3,
)
"""What version 4 came with in 2026. Fitted to the AWS Database Blog, "Aurora Serverless: Faster
performance, enhanced scaling, and still scales down to zero": up to 45 % faster up, and a
read-heavy sysbench run at 28 % lower cost than on version 3."""

INSTANT = replace(
    SMART,
    name="instant",
    credits_max=64.0,
    credits_per_second=4.0,
    blind_per_second=16.0,
)
"""Of versions 3 and 4 since September 2026: "adding up to 16 ACUs to its current capacity within a
second" (AWS What's New). How long it can go on is not documented; four such steps here."""

SCALINGS: Mapping[str, Scaling] = MappingProxyType(
    {each.name: each for each in (STANDARD, FAST, SMART, INSTANT)}
)
VERSIONS: Mapping[str, PlatformVersion] = MappingProxyType(
    {
        each.number: each
        for each in (
            PlatformVersion("1", 128.0, BASELINE_PERFORMANCE, STANDARD),
            PlatformVersion("2", 256.0, BASELINE_PERFORMANCE, STANDARD),
            PlatformVersion("3", 256.0, PERFORMANCE_STEP, FAST),
            PlatformVersion("4", 256.0, PERFORMANCE_STEP**2, SMART),
        )
    }
)


def version_named(name: str) -> PlatformVersion:
    """The version of a name such as `3`, or `2+fast` for one with other scaling.

    Raises ValueError with the names that there are.
    """
    number, _, scaling = name.partition("+")
    if number not in VERSIONS or (scaling and scaling not in SCALINGS) or name.endswith("+"):
        raise ValueError(
            f"{name!r} is no platform version; there are {', '.join(VERSIONS)}, and each of them "
            f"with other scaling, such as 2+fast ({', '.join(SCALINGS)})"
        )
    found = VERSIONS[number]
    return replace(found, scaling=SCALINGS[scaling]) if scaling else found


DEFAULT_VERSION = version_named("4+instant")
"""RDS makes new clusters with the latest version, and it scales like that by default."""
