"""The command line on a real terminal: what Ctrl-C, a hang-up and a kill do to it."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from cluster_runtime import Runtime
from mcp_server.cli import shell
from tests.hosts import end_hosts

CTRL_C, CTRL_D, CTRL_BACKSLASH = b"\x03", b"\x04", b"\x1c"
PATIENCE_S = 60
AS_A_USER = {"TERM": "xterm", "PSQLRC": os.devnull, "PAGER": "cat"}
BOREALIS = (sys.executable, "-m", "mcp_server.cli")
IN_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
SLOW = b"do $$begin raise notice 'sta%', 'rted'; perform pg_sleep(60); end$$;\n"
NEEDS_PSQL = pytest.mark.skipif(shell.psql_with_tls() is None, reason="no psql with TLS is here")
SHELLS = [pytest.param((), id="psql", marks=NEEDS_PSQL), pytest.param(("--builtin",), id="builtin")]

TOLD_TO_END = [
    pytest.param((), "the prompt", marks=NEEDS_PSQL),
    pytest.param((), "a query", marks=[NEEDS_PSQL, pytest.mark.long]),
    pytest.param(("--builtin",), "the prompt", marks=pytest.mark.long),
    (("--builtin",), "a query"),
]


class Terminal:
    """A command in a terminal of its own, and a user who types."""

    def __init__(self, *arguments: str, by: Sequence[str] = BOREALIS, **environment: str) -> None:
        self.screen, self.tty = pty.openpty()
        self.attributes = self.now()
        self.seen = b""
        self._again = False
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_ITS_TERMINAL, *by, *arguments],
            **dict.fromkeys(("stdin", "stdout", "stderr"), self.tty),
            env={**os.environ, **AS_A_USER, **environment},
            start_new_session=True,
        )

    def now(self) -> list[Any]:
        return termios.tcgetattr(self.tty)

    def type(self, text: bytes) -> None:
        os.write(self.screen, text)

    def interrupt(self) -> None:
        self.type(CTRL_C)
        self._again = True

    def until(self, text: bytes) -> bytes:
        """Everything shown since the last call, up to a text that must appear."""
        self._look(lambda: text in self.seen, f"{text!r} does not appear")
        shown, _, self.seen = self.seen.partition(text)
        return shown

    def ends(self) -> int:
        """The exit status, and the last that was shown in `seen`."""
        self._look(lambda: self.process.poll() is not None, "it does not end")
        return self.process.wait()

    def _look(self, done: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        press_again = time.monotonic() + 1
        while not done():
            assert time.monotonic() < deadline, f"{otherwise}; it showed {self.seen!r}"
            if select.select([self.screen], [], [], 0.02)[0]:
                self.seen += os.read(self.screen, 65536)
            if self._again and time.monotonic() > press_again:
                # Python loses a signal that comes between a prompt and the read behind it.
                self.type(CTRL_C)
                press_again += 1
        self._again = False

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.tty)
        if self.screen >= 0:
            os.close(self.screen)

    def hang_up(self) -> None:
        os.close(self.screen)
        self.screen = -1


@pytest.fixture(scope="session")  # a worker may come to this file twice
def state(state_dir: Path) -> Path:
    with Runtime.open(state_dir / "terminal", warm_pool_size=0) as runtime:
        runtime.create_db_cluster("here")
    return state_dir / "terminal"


@pytest.fixture
def terminal(state: Path) -> Iterator[Callable[..., Terminal]]:
    opened = []

    def run(*arguments: str, **options: Any) -> Terminal:
        opened.append(Terminal(*arguments, BOREALIS_STATE_DIR=str(state), **options))
        return opened[-1]

    yield run
    for one in opened:
        one.close()
    with Runtime.open(state, warm_pool_size=0) as runtime:
        assert [one.db_cluster_identifier for one in runtime.describe_db_clusters()] == ["here"]


@pytest.fixture
def unhosted(state: Path) -> None:
    """Nobody hosts the directory when the test begins: commands before it have started a host."""
    end_hosts(state)


@pytest.mark.parametrize("which", SHELLS)
def test_ctrl_c_cancels_the_query_and_the_shell_goes_on(
    terminal: Callable[..., Terminal], which: tuple[str, ...]
) -> None:
    one = terminal("psql", "here", *which)
    one.until(b"=> ")
    one.type(SLOW)
    one.until(b"started")
    one.type(CTRL_C)
    one.until(b"cancel")
    one.type(b"select 6 *\n")
    one.until(b"-> ")
    one.interrupt()  # at the prompt: what was typed is forgotten
    one.until(b"=> ")
    one.type(b"select 6 * 7;\n")
    assert b"ERROR" not in one.until(b"42")
    one.type(b"\\q\n")
    assert one.ends() == 0
    assert one.now() == one.attributes


@pytest.mark.parametrize(("which", "during"), TOLD_TO_END)
def test_a_parent_that_is_told_to_end_takes_the_shell_with_it(
    terminal: Callable[..., Terminal], which: tuple[str, ...], during: str
) -> None:
    one = terminal("psql", "here", *which)
    one.until(b"=> ")
    if during == "a query":
        one.type(SLOW)
        one.until(b"started")
    # The host is a child too where this command has started it, and stays.
    children = [
        child for child in psutil.Process(one.process.pid).children() if child.name() == "psql"
    ]
    assert len(children) == (0 if which else 1)
    one.process.send_signal(signal.SIGTERM)
    assert one.ends() == 128 + signal.SIGTERM
    assert one.now() == one.attributes
    assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []


@NEEDS_PSQL
def test_a_terminal_that_is_closed_ends_the_shell(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal("psql", "here")
    one.until(b"=> ")
    children = [
        child for child in psutil.Process(one.process.pid).children() if child.name() == "psql"
    ]
    one.hang_up()
    one.process.wait(PATIENCE_S)
    assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []


@NEEDS_PSQL
def test_a_psql_that_is_killed_leaves_a_terminal_that_echoes(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal("psql", "here")
    one.until(b"=> ")
    (psql,) = [
        child for child in psutil.Process(one.process.pid).children() if child.name() == "psql"
    ]
    assert one.now() != one.attributes, "readline should have the terminal in its own mode"
    psql.kill()
    assert one.ends() == 128 + signal.SIGKILL
    assert one.now() == one.attributes


@NEEDS_PSQL
def test_ctrl_backslash_ends_psql_in_good_order(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal("psql", "here")
    one.until(b"=> ")
    one.type(SLOW)
    one.until(b"started")
    one.type(CTRL_BACKSLASH)
    assert one.ends() == 128 + signal.SIGQUIT
    assert one.now() == one.attributes


@NEEDS_PSQL
@pytest.mark.parametrize(
    ("script", "status"),
    [("select 1;", 0), ("\\set ON_ERROR_STOP 1\nselect 1/0;", 3), ("\\connect nowhere", 2)],
)
def test_the_exit_status_of_psql_is_that_of_the_command(
    state: Path, script: str, status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mcp_server.cli", "psql", "here", "--state-dir", state],
        input=script,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr


@NEEDS_PSQL
def test_a_command_in_the_background_leaves_the_terminal_to_others(
    terminal: Callable[..., Terminal],
) -> None:
    in_the_background = ("/bin/sh", "-mc", '"$@" & wait $!; echo ended with $?', "sh", *BOREALIS)
    one = terminal("psql", "here", "-c", "select 6 * 7", by=in_the_background)
    one.until(b"42")
    one.until(b"ended with 0")
    assert one.ends() == 0


@pytest.mark.usefixtures("unhosted")
def test_a_parent_that_ignores_hang_ups_goes_on_as_under_nohup(state: Path) -> None:
    process = subprocess.Popen(
        ["sh", "-c", f'trap "" HUP; exec {sys.executable} -m mcp_server.cli serve --warm-pool 0'],
        env={**os.environ, "BOREALIS_STATE_DIR": str(state)},
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    with process.stderr:
        while b"hosting" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_ctrl_c_at_the_question_of_delete_deletes_nothing(
    terminal: Callable[..., Terminal],
) -> None:
    one = terminal("delete", "here")
    one.until(b"[y/N]")
    one.interrupt()
    assert one.ends() == 1
    assert b"Traceback" not in one.seen
    assert one.now() == one.attributes


@pytest.mark.usefixtures("unhosted")
@pytest.mark.parametrize("end", [CTRL_C, CTRL_BACKSLASH], ids=["ctrl-c", "ctrl-backslash"])
def test_serve_leaves_nothing_behind(terminal: Callable[..., Terminal], end: bytes) -> None:
    """A verbose one tells what happens."""
    one = terminal("serve", "--warm-pool", "0", *(["--verbose"] if end == CTRL_C else []))
    if end == CTRL_C:
        one.until(b" INFO ")
    one.until(b"hosting")
    one.type(end)
    status = one.ends()
    assert status == (0 if end == CTRL_C else -signal.SIGQUIT)
    assert b"Traceback" not in one.seen


@pytest.mark.parametrize("how", ["ctrl-c", pytest.param("sigterm", marks=pytest.mark.long)])
def test_a_demo_that_is_cut_short_leaves_no_folder_and_no_process(
    terminal: Callable[..., Terminal], tmp_path: Path, how: str
) -> None:
    tmp_path.chmod(0o711)
    one = terminal("demo", TMPDIR=str(tmp_path))
    one.until(b"create a cluster")
    children = psutil.Process(one.process.pid).children(recursive=True)
    assert list(tmp_path.glob("borealis-demo-*"))
    if how == "ctrl-c":
        one.type(CTRL_C)
    else:
        one.process.send_signal(signal.SIGTERM)
    assert one.ends() == 128 + (signal.SIGINT if how == "ctrl-c" else signal.SIGTERM)
    assert b"Traceback" not in one.seen
    assert psutil.wait_procs(children, timeout=PATIENCE_S)[1] == []
    assert not list(tmp_path.glob("borealis-demo-*"))


def test_the_log_is_followed_until_ctrl_c(terminal: Callable[..., Terminal], state: Path) -> None:
    said = subprocess.run(
        [*BOREALIS, "url", "here", "--password", "--state-dir", state],
        capture_output=True,
        text=True,
        check=True,
    )
    one = terminal("logs", "here", "-f", "-n", "1")
    one.until(b"\n")
    with psycopg.connect(said.stdout.strip(), autocommit=True) as conn:
        conn.execute("do $$ begin raise log 'told while it is followed'; end $$")
    one.until(b"told while it is followed")
    one.type(CTRL_C)
    assert one.ends() == 0
    assert b"Traceback" not in one.seen


@pytest.mark.parametrize(
    ("command", "shows"),
    [(("top", "--interval", "0.1"), b"here"), (("events", "here", "-f"), b"were reset")],
    ids=["top", "events"],
)
def test_what_watches_goes_on_until_ctrl_c_and_leaves_the_terminal_as_it_was(
    terminal: Callable[..., Terminal], state: Path, command: tuple[str, ...], shows: bytes
) -> None:
    with Runtime.open(state, warm_pool_size=0) as runtime:
        runtime.modify_db_cluster("here", reset_settings=True)
    one = terminal(*command, COLUMNS="120")
    one.until(shows)
    one.type(CTRL_C)
    assert one.ends() == 0
    assert b"Traceback" not in one.seen
    assert one.now() == one.attributes
