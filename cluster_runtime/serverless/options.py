"""How a host gives its machine to serverless instances. Light: who attaches knows it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast, get_args

from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.serverless.enforcement.means import Enforcement
from cluster_runtime.serverless.scaling.units import ACU
from cluster_runtime.wording import Parameter

ENFORCEMENT_VARIABLE = "BOREALIS_ENFORCEMENT"
OVERCOMMIT_VARIABLE = "BOREALIS_OVERCOMMIT"
CORES_VARIABLE = "BOREALIS_CORES_PER_ACU"
OVERCOMMIT_MAX = 100.0
CORES_OF_AN_ACU_MAX = 64.0


@dataclass(frozen=True, slots=True)
class CapacityOptions:
    """How a host gives its machine to instances. Raises InvalidParameterError.

    enforcement: what holds them to their capacity. overcommit: how many times the machine may be
    given away, 1 to 100. cores_per_acu: CPU that one ACU brings, which Aurora does not say.
    """

    enforcement: Enforcement = "auto"
    overcommit: float = 1.0
    cores_per_acu: float = ACU.cores

    def __post_init__(self) -> None:
        if self.enforcement not in get_args(Enforcement):
            raise InvalidParameterError(
                Parameter("enforcement"),
                f" is {self.enforcement!r}; it must be auto, cgroup, settings or none",
            )
        if not 1 <= self.overcommit <= OVERCOMMIT_MAX:
            raise InvalidParameterError(
                Parameter("overcommit"),
                f" is {self.overcommit:g}; it must be from 1, the machine as it is, to "
                f"{OVERCOMMIT_MAX:g}",
            )
        if not 0 < self.cores_per_acu <= CORES_OF_AN_ACU_MAX:
            raise InvalidParameterError(
                Parameter("cores_per_acu"),
                f" is {self.cores_per_acu:g}; it must be more than 0, and at most "
                f"{CORES_OF_AN_ACU_MAX:g}",
            )

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Those that variables say, for hosts that commands start. Raises InvalidParameterError."""
        enforcement = environment.get(ENFORCEMENT_VARIABLE, cls().enforcement)
        return cls(
            cast(Enforcement, enforcement),
            _number(environment, OVERCOMMIT_VARIABLE, cls().overcommit),
            _number(environment, CORES_VARIABLE, cls().cores_per_acu),
        )


def _number(environment: Mapping[str, str], name: str, otherwise: float) -> float:
    said = environment.get(name)
    try:
        return otherwise if said is None else float(said)
    except ValueError:
        raise InvalidParameterError(f"{name} is {said!r}; it must be a number") from None
