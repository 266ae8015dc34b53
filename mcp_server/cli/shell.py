"""A SQL shell: psql where one with TLS is installed, otherwise a small one over psycopg.

The password travels in the environment of the child, never in its arguments, which every user of
the machine can list. The psql in the engine's own distribution is never used: it is built without
TLS, and the gateway takes nothing else.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from rich.table import Table
from rich.text import Text

from mcp_server.cli import console, foreground
from mcp_server.sql_errors import sql_error_text
from mcp_server.wording import COMMAND_LINE

CANCEL_SECONDS = 5.0
HELP = "end a statement with ; and press Enter. Ctrl-C cancels it. \\q or Ctrl-D leaves."


def run(dsn: str, command: str | None, *, builtin: bool = False) -> int:
    """Open a shell on a DSN, or run one command; returns the exit status."""
    program = None if builtin else psql_with_tls()
    if program is None:
        return run_builtin(dsn, command)
    arguments = [program, *(["--command", command] if command is not None else [])]
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


def run_builtin(dsn: str, command: str | None) -> int:
    """The small shell. Reads standard input to its end; a failed statement does not end it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.add_notice_handler(
            lambda diagnostic: console.note(diagnostic.message_primary or "")
        )
        if command is not None:
            with _cancelled_by_signals(connection):
                return 0 if _execute(connection, command) else 1
        interactive = sys.stdin.isatty()
        if interactive:
            console.note(HELP)
        succeeded = True
        for statement in _statements(f"{connection.info.dbname}=> ", interactive=interactive):
            try:
                with _cancelled_by_signals(connection):
                    succeeded = _execute(connection, statement)
            except KeyboardInterrupt:
                if not interactive:
                    raise
        return 0 if succeeded or interactive else 1


def _statements(prompt: str, *, interactive: bool) -> Any:
    """Statements from standard input, split where a line ends with a semicolon."""
    lines: list[str] = []
    while True:
        try:
            if interactive:
                line = foreground.ask_for_line(prompt if not lines else "-> ")
            else:
                line = input()
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
