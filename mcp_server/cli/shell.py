"""A SQL shell: psql where one with TLS is installed, otherwise a small one over psycopg.

The password travels in the environment of the child, never in its arguments, which every user of
the machine can list. The psql in the engine's own distribution is never used: it is built without
TLS, and the gateway takes nothing else.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from rich.table import Table
from rich.text import Text

from mcp_server.cli import console, foreground
from mcp_server.errors import McpServerError
from mcp_server.sql_errors import sql_error_text
from mcp_server.wording import COMMAND_LINE

CANCEL_SECONDS = 5.0
STANDARD_INPUT = "-"
HELP = "end a statement with ; and press Enter. Ctrl-C cancels it. \\q or Ctrl-D leaves."

ReadLine = Callable[[bool], str]
"""Gives the next line, or raises EOFError. It is told whether a statement has begun."""


class ScriptUnreadableError(McpServerError):
    """A file of SQL cannot be read. The message names it."""


class PsqlNeededError(McpServerError):
    """What was asked for is a matter of psql, which is not installed, or cannot speak TLS."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a shell runs instead of asking. files: after the commands; `-` is standard input.

    arguments: more arguments of psql.
    """

    commands: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


ASKS = Script()


def run(dsn: str, script: Script = ASKS, *, builtin: bool = False) -> int:
    """Open a shell on a DSN, or run a script; returns the exit status. Raises PsqlNeededError."""
    program = None if builtin else psql_with_tls()
    if program is None:
        return run_builtin(dsn, script)
    commands = [word for command in script.commands for word in ("--command", command)]
    files = [word for file in script.files for word in ("--file", file)]
    arguments = [program, *commands, *files, *script.arguments]
    return foreground.run(arguments, os.environ | environment_of(dsn))


def psql_with_tls() -> str | None:
    """The psql on the search path, if it can speak TLS."""
    program = shutil.which("psql")
    if program is None:
        return None
    # A libpq without TLS refuses this setting before it looks for any server.
    probe = subprocess.run(
        [program, "--no-psqlrc", "--command", ""],
        env=os.environ | {"PGSSLMODE": "require", "PGHOST": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    return None if "sslmode" in probe.stderr else program


def environment_of(dsn: str) -> dict[str, str]:
    """A DSN as libpq's environment variables, by libpq's own table of them."""
    variables = {
        option.keyword.decode(): option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
        if option.envvar
    }
    return {variables[name]: str(value) for name, value in conninfo_to_dict(dsn).items()}


def run_builtin(dsn: str, script: Script = ASKS) -> int:
    """The small shell. Reads standard input to its end; a failed statement does not end it.

    A failed command ends it, and what was to come after a failed file is not begun.
    """
    if script.arguments:
        raise PsqlNeededError(
            f"{shlex.join(script.arguments)!r} is for psql, which is not used here: install one "
            "that speaks TLS (postgresql-client), and leave out --builtin"
        )
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.add_notice_handler(
            lambda diagnostic: console.note(diagnostic.message_primary or "")
        )
        for command in script.commands:
            with _cancelled_by_signals(connection):
                if not _execute(connection, command):
                    return 1
        for file in script.files:
            if not _run_lines(connection, _lines_of(file)):
                return 1
        if script != ASKS:
            return 0
        if not sys.stdin.isatty():
            return 0 if _run_lines(connection, _lines_of(STANDARD_INPUT)) else 1
        console.note(HELP)
        prompt = f"{connection.info.dbname}=> "
        _run_lines(
            connection,
            lambda begun: foreground.ask_for_line("-> " if begun else prompt),
            interactive=True,
        )
        return 0


def _lines_of(file: str) -> ReadLine:
    """The lines of a file, one at each call. Raises ScriptUnreadableError."""
    if file == STANDARD_INPUT:
        return lambda begun: input()
    try:
        lines = iter(Path(file).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptUnreadableError(f"cannot read {file}: {error}") from error

    def read(begun: bool) -> str:
        for line in lines:
            return line
        raise EOFError

    return read


def _run_lines(
    connection: psycopg.Connection[Any], read: ReadLine, *, interactive: bool = False
) -> bool:
    """Run statements as they are read; whether the last one succeeded."""
    succeeded = True
    for statement in _statements(read, interactive=interactive):
        try:
            with _cancelled_by_signals(connection):
                succeeded = _execute(connection, statement)
        except KeyboardInterrupt:
            if not interactive:
                raise
    return succeeded


def _statements(read: ReadLine, *, interactive: bool) -> Iterator[str]:
    """Statements, split where a line ends with a semicolon."""
    lines: list[str] = []
    while True:
        try:
            line = read(bool(lines))
        except EOFError:
            break
        except KeyboardInterrupt:  # as in psql: away with what was typed, and on
            if not interactive:
                raise
            console.note("")
            lines = []
            continue
        if not lines and line.strip() in ("\\q", "exit", "quit"):
            return
        lines.append(line)
        if line.rstrip().endswith(";"):
            yield "\n".join(lines)
            lines = []
    if "".join(lines).strip():
        yield "\n".join(lines)


@contextmanager
def _cancelled_by_signals(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """A signal cancels the statement, and is raised when that has ended; a second one, at once.

    Raised where it comes it may be lost: it can come while libpq calls back with a notice.
    """
    came: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        came.append(number)
        if connection.info.transaction_status is not TransactionStatus.ACTIVE or len(came) > 1:
            _raise(number)
        threading.Thread(target=_cancel, args=(connection,), daemon=True).start()

    numbers = [signal.SIGINT, *foreground.TO_END]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        _raise(came[0])


def _raise(number: int) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


def _cancel(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.cancel_safe(timeout=CANCEL_SECONDS)
    except psycopg.Error as error:
        console.note(f"the statement could not be cancelled: {error}")


def _execute(connection: psycopg.Connection[Any], statement: str) -> bool:
    try:
        cursor = connection.execute(statement.encode())
    except psycopg.Error as error:
        console.err.print(Text(f"error: {sql_error_text(error, COMMAND_LINE)}", style="red"))
        return False
    for result in cursor.results():
        if result.description:
            table = Table()
            for column in result.description:
                table.add_column(Text(column.name))
            for row in result:
                table.add_row(*(Text("" if value is None else str(value)) for value in row))
            console.out.print(table)
        console.note(result.statusmessage or "")
    return True
