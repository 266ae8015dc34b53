"""How much a host may log: what whoever starts one says."""

from collections.abc import Mapping
from dataclasses import dataclass

BYTES_VARIABLE = "BOREALIS_HOST_LOG_BYTES"
FILES_VARIABLE = "BOREALIS_HOST_LOG_FILES"


@dataclass(frozen=True, slots=True)
class LogLimits:
    """bytes_max: of one file. files_max: how many are kept with the present one; at least 2."""

    bytes_max: int = 10_000_000
    files_max: int = 5

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "LogLimits":
        """What environment variables say; a value that is no positive number counts as absent."""
        return cls(
            _positive(environment.get(BYTES_VARIABLE), cls().bytes_max),
            _positive(environment.get(FILES_VARIABLE), cls().files_max),
        )


def _positive(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdecimal() and int(text) > 0 else default
