"""A trial of the walls: a server is started inside them, and tries to get out.

It is taken over already (its superuser tries), and aims at things made for the purpose, which
everybody on the machine may read, write or dial: what refuses them is a wall.
"""

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.home import SOCKET_NAME
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox.walls import Walls
from cluster_runtime.engine.system.os_users import OsUsers
from cluster_runtime.engine.template import Template

DIAL_TIMEOUT_S = 2
_ATTEMPT_TIMEOUT_S = 10
_BAIT = "bait"

Connection = psycopg.Connection[TupleRow]


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that the server tried. wall: the field of `Walls` that is to refuse it.

    got_out: None where it could not be tried, for the reason in `says`.
    """

    what: str
    wall: str
    got_out: bool | None
    says: str


def try_walls(template: Template, users: OsUsers) -> tuple[Walls, list[Attempt]]:
    """Start a server over a copy of the template, and have it try. Nothing of it remains.

    Raises EngineError where it does not start.
    """
    folder = Path(tempfile.mkdtemp(prefix="borealis-doctor-", dir="/tmp"))
    try:
        folder.chmod(0o711)
        cluster = template.user.make_passage(folder / "cluster")
        user = users.of(cluster)
        try:
            template.copy_to(cluster / "data", new_system_identifier(), user)
            postmaster = Postmaster(
                template.installation, user, cluster / "data", folder / "s", cluster / "log"
            )
            postmaster.start({"fsync": False})
            try:
                attempts = _attempts(postmaster, folder)
            finally:
                postmaster.stop(Shutdown.IMMEDIATE)
        finally:
            uid = users.end_processes(cluster)
            shutil.rmtree(cluster)
            users.forget(cluster, uid)
    finally:
        shutil.rmtree(folder)
    assert postmaster.walls is not None, "a postmaster that was started"
    return postmaster.walls, attempts


def _attempts(postmaster: Postmaster, folder: Path) -> list[Attempt]:
    with superuser_connection(postmaster) as conn:
        conn.execute(f"set statement_timeout = '{_ATTEMPT_TIMEOUT_S}s'".encode())
        return [
            _attempt("read a file that all may read", "files", lambda: _read(conn, folder)),
            _attempt("write where all may write", "files", lambda: _write(conn, folder)),
            _attempt("run a program", "programs", lambda: _run(conn)),
            _attempt("dial a socket that all may dial", "dialling", lambda: _dial(conn, folder)),
            _attempt("dial over TCP", "network", lambda: _dial_tcp(conn)),
        ]


def _attempt(what: str, wall: str, attempt: Callable[[], bool]) -> Attempt:
    try:
        got_out = attempt()
    except psycopg.errors.UndefinedFile as error:
        return Attempt(what, wall, None, f"not tried: {error.diag.message_primary}")
    except psycopg.Error as error:
        return Attempt(what, wall, False, error.diag.message_primary or str(error))
    return Attempt(what, wall, got_out, "it did" if got_out else "nothing arrived")


def _read(conn: Connection, folder: Path) -> bool:
    bait = folder / _BAIT
    bait.write_text(_BAIT)
    bait.chmod(0o644)
    row = conn.execute("select pg_read_file(%s)", [str(bait)]).fetchone()
    return row == (_BAIT,)


def _write(conn: Connection, folder: Path) -> bool:
    open_to_all = folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    target = open_to_all / _BAIT
    conn.execute(sql.SQL("copy (select 1) to {}").format(sql.Literal(str(target))))
    return target.exists()


def _run(conn: Connection) -> bool:
    conn.execute("copy (select 1) to program 'cat > /dev/null'")
    return True


def _dial(conn: Connection, folder: Path) -> bool:
    place = folder / "dial"
    place.mkdir()
    place.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / SOCKET_NAME))
        (place / SOCKET_NAME).chmod(0o777)
        return _arrives(conn, listener, f"host={place} port=5432")


def _dial_tcp(conn: Connection) -> bool:
    with socket.socket(socket.AF_INET) as listener:
        listener.bind(("127.0.0.1", 0))
        return _arrives(conn, listener, f"host=127.0.0.1 port={listener.getsockname()[1]}")


def _arrives(conn: Connection, listener: socket.socket, conninfo: str) -> bool:
    """Whether libpq, inside the server, reaches a listener of ours."""
    conn.execute("create extension if not exists dblink")
    with _visitors(listener) as arrived:
        with suppress(psycopg.errors.SqlclientUnableToEstablishSqlconnection):
            conn.execute(
                "select dblink_connect(%s)", [f"{conninfo} connect_timeout={DIAL_TIMEOUT_S} user=x"]
            )
        return arrived.is_set()


@contextmanager
def _visitors(listener: socket.socket) -> Iterator[threading.Event]:
    """Take connections and close them; the event says whether there was one."""
    arrived = threading.Event()
    listener.listen(1)

    def take() -> None:
        # Shut down below, it returns an error.
        with suppress(OSError):
            while True:
                visitor, _ = listener.accept()
                arrived.set()
                visitor.close()

    thread = threading.Thread(target=take, name="borealis-doctor")
    thread.start()
    try:
        yield arrived
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
