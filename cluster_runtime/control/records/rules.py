"""What a value of a parameter must be: said once, checked and shown wherever it is asked for.

A rule stands in the type of a field (`Annotated[int, Range(1150, 65535)]`). The declarations of
operations check it; the command line, the tools and the documentation show it.

Source: Amazon RDS API Reference, CreateDBCluster.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from cluster_runtime.control.records.identifiers import check_role_name
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.wording import Parameter

DEFAULT_DATABASE = "postgres"
PASSWORD_MIN_CHARACTERS = 8
PASSWORD_MAX_CHARACTERS = 128
PORT_MIN, PORT_MAX = 1150, 65535


@runtime_checkable
class Rule(Protocol):
    """Something that the values of a parameter must keep."""

    def check(self, name: str, value: object) -> None:
        """Raises InvalidParameterError with the parameter's name."""

    @property
    def words(self) -> str:
        """The rule for people, such as `from 0 to 256 in steps of 0.5`; empty for none."""


@dataclass(frozen=True, slots=True)
class Range:
    """A number from `minimum` to `maximum`, both included. unit: of all of them."""

    minimum: float
    maximum: float
    step: float | None = None
    unit: str = ""

    def check(self, name: str, value: object) -> None:
        """Raises InvalidParameterError for a value outside the range."""
        number = value if isinstance(value, int | float) else self.maximum + 1
        within = self.minimum <= number <= self.maximum
        if not within or (self.step is not None and number % self.step):
            unit = f" {self.unit}" if self.unit else ""
            raise InvalidParameterError(
                Parameter(name), f" is {value}{unit}; it must be {self.words}"
            )

    @property
    def words(self) -> str:
        """The range in words."""
        steps = f" in steps of {self.step:g}" if self.step is not None else ""
        return f"from {_plain(self.minimum)} to {_plain(self.maximum)}{steps}"


@dataclass(frozen=True, slots=True)
class Must:
    """Text that passes a check, which raises InvalidParameterError."""

    passes: Callable[[str], object]

    def check(self, name: str, value: object) -> None:
        """Raises what the function raises."""
        self.passes(str(value))

    @property
    def words(self) -> str:
        """Nothing that a list of parameters could say."""
        return ""


def check_password(password: str) -> None:
    """RDS's rules for MasterUserPassword. Raises InvalidParameterError, without the password."""
    if not PASSWORD_MIN_CHARACTERS <= len(password) <= PASSWORD_MAX_CHARACTERS:
        raise InvalidParameterError(
            Parameter("master_user_password"),
            f" must have {PASSWORD_MIN_CHARACTERS} to {PASSWORD_MAX_CHARACTERS} characters",
        )
    if any(character in '/"@ ' or not character.isprintable() for character in password):
        raise InvalidParameterError(
            Parameter("master_user_password"),
            " must be printable and hold no slash, quote, @ or space",
        )


def check_master_username(name: str) -> None:
    """Raises InvalidParameterError."""
    check_role_name("master user name", name)


def check_database_name(name: str) -> None:
    """Raises InvalidParameterError."""
    if name != DEFAULT_DATABASE:
        check_role_name("database name", name)
    if name in ("template0", "template1"):
        raise InvalidParameterError(f"database name {name!r} is reserved; choose another one")


def check_restore_point(name: str) -> None:
    """Raises InvalidParameterError for a name that could be taken for a time or an LSN."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", name, re.ASCII):
        raise InvalidParameterError(
            f"restore point {name!r} must begin with a letter, hold only letters, digits, hyphens "
            "and underscores, and have at most 63 characters"
        )


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else f"{number:g}"
