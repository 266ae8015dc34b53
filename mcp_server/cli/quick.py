"""A first answer soon: Typer is given the one command that is asked for, and no more than it needs.

Typer makes each of fifty commands before it looks at the command line, and since 0.29 has pydantic
check every value of every option. Both together take longer than `borealis list` does. So the
command that the first word names is made alone; and a value that is text or a path anyway is taken
as it is. Whatever is not that simple goes Typer's way: help, a mistyped name, numbers, choices.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

VERSION = "--version"
PLAIN = (str, bool, Path)
OF_PYDANTIC = "Value error, "
"""What pydantic puts before the words of whoever refused a value."""


def command_of(
    app: typer.Typer,
    arguments: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    *,
    whole: Callable[[], typer.Typer],
) -> Any:
    """What Typer makes of an application for these arguments: called, it runs them.

    environment: a shell that completes says there how far its line is. whole: the application with
    the commands that nobody makes before they are needed.
    """
    completed = _completed(environment)
    command = get_command(_with_only(app, arguments if completed is None else completed, whole))
    _take_plain_values(command)
    return command


def _with_only(
    app: typer.Typer, words: Sequence[str], whole: Callable[[], typer.Typer]
) -> typer.Typer:
    """The application with the command or the group alone that the first word names exactly."""
    first = words[0] if words else ""
    commands = [each for each in app.registered_commands if _name(each) == first]
    groups: list[Any] = []
    if not commands and list(words) != [VERSION]:
        app = whole()
        commands = [each for each in app.registered_commands if _name(each) == first]
        groups = [each for each in app.registered_groups if each.name == first]
        if not (commands or groups):
            return app
    one = copy(app)
    one.registered_commands, one.registered_groups = commands, groups
    return one


def _name(command: Any) -> str:
    name: str = command.name or command.callback.__name__.replace("_", "-")
    return name


def _completed(environment: Mapping[str, str]) -> list[str] | None:
    """The finished words behind the program's name on the line of a shell that completes.

    None where none does. Bash counts the words; the others give the line up to the cursor.
    """
    if not any(name.startswith("_") and name.endswith("_COMPLETE") for name in environment):
        return None
    if "_TYPER_COMPLETE_ARGS" in environment:
        return environment["_TYPER_COMPLETE_ARGS"].rpartition(" ")[0].split()[1:]
    at = environment.get("COMP_CWORD", "")
    words = environment.get("COMP_WORDS", "").split()
    return words[1 : int(at)] if at.isdecimal() else []


def _take_plain_values(command: Any) -> None:
    """Of a command, and of those below it. Its own help option is made at the last moment."""
    made_by_typer = command.get_params

    def get_params(ctx: Any) -> list[Any]:
        parameters: list[Any] = made_by_typer(ctx)
        for each in parameters:
            described = each.type_descriptor
            plain = described.annotation in PLAIN and described.parameter_info.parser is None
            kind = described.annotation if plain else None
            each._runtime_param = each._runtime_param or _PlainValue(each, kind)
        return parameters

    command.get_params = get_params
    for below in getattr(command, "commands", {}).values():
        _take_plain_values(below)


class _PlainValue:
    """Stands in for what Typer makes of a value's type. kind: None where that is to check it."""

    def __init__(self, parameter: Any, kind: type | None) -> None:
        self._parameter = parameter
        self._kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as what it is to be; where that is not plain, as Typer has it."""
        if self._kind is not None and value is None:
            return None
        if self._kind is Path and isinstance(value, str | Path):
            path = Path(value)
            if _readable(path):
                return path
        elif self._kind is not None and isinstance(value, self._kind):
            return value
        self._parameter._runtime_param = None
        try:
            return self._parameter.get_runtime_param().coerce(value, param=param, ctx=ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix(OF_PYDANTIC)
            raise


def _readable(path: Path) -> bool:
    """False where Typer refuses a path."""
    return not path.exists() or os.access(path, os.R_OK)
