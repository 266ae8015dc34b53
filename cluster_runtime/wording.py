"""What an error says, in the words of whoever reads it.

An error is raised once and read in several places: as an exception, on the command line, as the
answer of a tool, in a database client. An operation or a parameter has another name in each, so an
error holds them as what they are, and each place says them in its own words.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation, by its name in Python."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """A call of an operation of `Runtime`: on which cluster, with which settings."""

    name: str
    identifier: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do next. In `text`, {} stands for the operation."""

    text: str
    operation: Operation


Said = str | Parameter | Hint
"""A part of what an error says; a hint comes last."""


class Words(Protocol):
    """How one kind of reader calls things."""

    def parameter(self, name: str) -> str:
        """The parameter's name; where the reader has none, what it is."""

    def hint(self, hint: Hint) -> str | None:
        """A clause that says what to do; None where this reader can do nothing."""


def tell(said: Iterable[Said], words: Words) -> str:
    """The text of an error, for readers of these words."""
    text = ""
    for part in said:
        match part:
            case str():
                text += part
            case Parameter(name):
                text += words.parameter(name)
            case Hint():
                advice = words.hint(part)
                if advice is not None:
                    text += (" " if text.endswith(("?", ".")) else "; ") + advice
    return text


def plainly(name: str) -> str:
    """A parameter for readers who have no such parameter: `master_user_password` as words."""
    return name.replace("_", " ")


class InPython:
    """For callers of `Runtime` and `AsyncRuntime`."""

    def parameter(self, name: str) -> str:
        """A parameter's name, as it is."""
        return name

    def hint(self, hint: Hint) -> str:
        """A hint with its call."""
        return hint.text.format(self.operation(hint.operation))

    def operation(self, operation: Operation) -> str:
        """An operation as a call."""
        if operation.identifier is None and not operation.settings:
            return operation.name
        settings = [f"{name}={value!r}" for name, value in operation.settings.items()]
        positional = [repr(operation.identifier)] if operation.identifier is not None else []
        return f"{operation.name}({', '.join([*positional, *settings])})"


class InDatabaseClient:
    """For whoever is refused a connection: nobody knows what that reader has beside a client."""

    def parameter(self, name: str) -> str:
        """A parameter in plain words: a client has no such name."""
        return plainly(name)

    def hint(self, hint: Hint) -> None:
        """None: nobody knows what else a client of a database has."""


PYTHON = InPython()
DATABASE_CLIENT = InDatabaseClient()
