"""The log behind pages, replayed by PostgreSQL up to a target, and stopped cleanly there.

What is left is a data directory like a template: the pages that a new volume begins with.

Source: PostgreSQL `xlogrecovery.c`: a time target stops before the first commit whose time is
later; a target behind the last commit is an error there, and means all of the log here.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from cluster_runtime.backup.core.targets import Plan
from cluster_runtime.engine.access.admin_session import admin_conninfo
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import RUNTIME_SETTINGS_FILE, Postmaster, Shutdown
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.settings import Settings
from cluster_runtime.engine.system.files import write_atomically
from cluster_runtime.errors import EngineError, StorageError
from cluster_runtime.storage.core.wal_records import wal_file_name
from cluster_runtime.storage.disk.data_directory import (
    ControlFile,
    DatabaseState,
    recover_along_timelines,
)
from cluster_runtime.storage.disk.filesystem import HOST_DISK

CONNECT_TIMEOUT_S = 15
REPLAY_TIMEOUT_S = 24 * 3600.0
CONFIGURATION = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")
LEFT_OVER = (
    RUNTIME_SETTINGS_FILE,
    "postmaster.opts",
    "standby.signal",
    "recovery.signal",
    "borealis.volume",
    "promote",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_TARGET = "recovery ended before configured recovery target was reached"
_SETTINGS: Settings = {
    "hot_standby": False,
    "fsync": False,
    "full_page_writes": False,
    "max_wal_size": "64GB",
    "min_wal_size": "2MB",
    "wal_recycle": False,
    "checkpoint_timeout": "1d",
    "autovacuum": False,
}


def recover(
    installation: Installation,
    user: OsUser,
    directory: Path,
    sockets: Path,
    plan: Plan,
    configuration: Path,
    end_processes: Callable[[], object],
) -> ControlFile:
    """Replay what lies in a directory that `fetch` made; what the pages are then.

    sockets: a private folder. configuration: a directory with this machine's configuration files.
    end_processes: ends what still runs as the user once the server has stopped: somebody else may
    have written the pages, and code in them may have left it.
    Raises EngineError where replay fails; the directory is of no use then.
    """
    log_file = directory.with_name(f"{directory.name}.log")
    _configure(directory, configuration, user)
    recover_along_timelines(directory, user)
    server = Postmaster(installation, user, directory, sockets, log_file)
    target: Settings = {}
    if plan.time is not None:
        moment = _EPOCH + timedelta(microseconds=plan.time)
        target = {
            "recovery_target_time": f"{moment:%Y-%m-%d %H:%M:%S.%f}+00",
            "recovery_target_action": "promote",
            "recovery_target_inclusive": True,
        }
    try:
        _replay(server, target)
    finally:
        log_file.unlink(missing_ok=True)
    end_processes()
    return _as_pages(directory, configuration, user)


def _replay(server: Postmaster, target: Settings) -> None:
    try:
        try:
            server.start({**_SETTINGS, **target}, timeout=REPLAY_TIMEOUT_S)
        except EngineError:
            if not target or _BEFORE_TARGET not in server.log_tail():
                raise
            # No commit is later than the target: it is all of the log.
            server.start(_SETTINGS, timeout=REPLAY_TIMEOUT_S)
        _begin_a_wal_file(server)
        if not server.stop(Shutdown.FAST):
            raise EngineError(f"a restore did not stop cleanly; its log ends:\n{server.log_tail()}")
    except psycopg.Error as error:
        server.stop(Shutdown.IMMEDIATE)
        raise EngineError(f"a restored server does not answer: {error}") from error
    except BaseException:
        server.stop(Shutdown.IMMEDIATE)
        raise


def _begin_a_wal_file(server: Postmaster) -> None:
    """The last checkpoint stands in a file of the new timeline alone, which needs no history."""
    conninfo = admin_conninfo(server.socket_directory, server.installation.major)
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as conn:
        conn.execute("select pg_catalog.pg_switch_wal()")


def _as_pages(directory: Path, configuration: Path, user: OsUser) -> ControlFile:
    control = ControlFile.read(directory)
    if control.state is not DatabaseState.SHUT_DOWN:
        raise StorageError(f"{directory} was not shut down cleanly: {control.state.name}")
    for name in LEFT_OVER:
        (directory / name).unlink(missing_ok=True)
    _configure(directory, configuration, user)
    _keep_log_of(directory, control)
    HOST_DISK.sync_tree(directory, [path for path in directory.rglob("*") if path.is_file()])
    return control


def _keep_log_of(directory: Path, control: ControlFile) -> None:
    """Remove the log before the last checkpoint, which a new cluster would copy."""
    folder = directory / "pg_wal"
    segment = next(each for each in folder.iterdir() if len(each.name) == 24 and each.is_file())
    size = segment.stat().st_size
    first = wal_file_name(control.timeline, control.redo, size)
    for path in folder.iterdir():
        if path.is_file() and path.name < first:
            path.unlink()


def _configure(directory: Path, configuration: Path, user: OsUser) -> None:
    """The configuration files are this machine's: who may log in, where extensions are."""
    for name in CONFIGURATION:
        text = (configuration / name).read_text(encoding="utf-8")
        write_atomically(directory / name, text, user)
