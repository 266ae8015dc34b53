"""The template data directory: initdb once per engine version and user, then copies.

A template is kept under a name that carries a digest of all that went into it, so that a change
of its recipe makes a new one and leaves clusters made from the old one alone.
"""

import hashlib
import json
import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from cluster_runtime.engine import children
from cluster_runtime.engine.access import functions, roles
from cluster_runtime.engine.access.admin_session import ADMIN_DATABASE
from cluster_runtime.engine.control_file import set_system_identifier
from cluster_runtime.engine.extensions import CONTROL_PATH_SINCE, trusted_control_path
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.postmaster import (
    RUNTIME_SETTINGS_FILE,
    Postmaster,
    as_user,
    engine_environment,
    superuser_connection,
)
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.settings import TEMPLATE_SETTINGS, Settings, render_settings
from cluster_runtime.engine.system.files import copy_tree, remove_tree
from cluster_runtime.engine.system.locks import exclusive
from cluster_runtime.errors import EngineError
from cluster_runtime.logs import get_logger

WAL_SEGMENT_MIB = 1
"""Small segments keep a new cluster small; one of 16 MiB would be half of the template."""

BUILTIN_LOCALE_SINCE = 17
MAP_FORKS = ("fsm", "vm")
BOOTSTRAP_SETTINGS: Settings = {"fsync": False, "wal_recycle": False, "min_wal_size": "2MB"}
"""Log that the last checkpoint does not need is removed: every new cluster would copy it."""

IDENTITY_MAP = "host"
HBA = f"local all all peer map={IDENTITY_MAP}\nlocal replication all peer map={IDENTITY_MAP}\n"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Template:
    """A cleanly stopped data directory that is only ever copied."""

    installation: Installation
    user: OsUser
    directory: Path

    def copy_to(self, data_directory: Path, identifier: int, user: OsUser | None = None) -> None:
        """Make a data directory with a system identifier of its own, for `user`.

        Raises InsufficientStorageError where the disk is full; nothing half-made remains.
        """
        copy_tree(self.directory, data_directory, user or self.user)
        set_system_identifier(data_directory, identifier)


def ensure_template(installation: Installation, user: OsUser, cache: Path) -> Template:
    """The template for an installation, made now where it does not exist yet (about 2 s).

    Safe to call from several processes at once.
    """
    folder = user.make_passage(cache / "templates")
    installation = replace(installation, extensions=user.make_passage(cache / "extensions"))
    settings = dict(TEMPLATE_SETTINGS)
    control_path = trusted_control_path(installation, user, cache)
    if control_path is not None:
        settings["extension_control_path"] = control_path
    directory = folder / f"{installation.version}-{_digest(installation, user, settings)}"
    with exclusive(folder / f"{directory.name}.lock"):
        if not directory.exists():
            partial = directory.with_suffix(".partial")
            remove_tree(partial)
            try:
                _initialise(user.make_private_directory(partial), installation, user, settings)
                give_to_host(partial)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            partial.rename(directory)
            _log.info("template made", engine_version=installation.version)
    return Template(installation, user, directory)


def _digest(installation: Installation, user: OsUser, settings: Settings) -> str:
    recipe = [
        installation.source,
        str(installation.prefix),
        dict(settings),
        roles.create_roles(installation.major),
        roles.IN_EACH_DATABASE,
        functions.FOR_DRIVERS,
        functions.MAKE_RECIPE,
        roles.ADMIN_SCHEMA,
        roles.CLOSE_ADMIN_DATABASE,
        roles.SHRINK_ADMIN_DATABASE,
        BOOTSTRAP_SETTINGS,
        HBA,
        _identity_map(),
        user.uid,
        WAL_SEGMENT_MIB,
        MAP_FORKS,
    ]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]


def _initialise(
    directory: Path, installation: Installation, user: OsUser, settings: Settings
) -> None:
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"]
        if installation.major >= BUILTIN_LOCALE_SINCE
        else ["--locale=C.UTF-8"]
    )
    done = children.run(
        [
            installation.program("initdb"),
            "--pgdata",
            directory,
            f"--username={roles.SUPERUSER}",
            "--encoding=UTF8",
            "--data-checksums",
            f"--wal-segsize={WAL_SEGMENT_MIB}",
            "--no-sync",
            *locale,
        ],
        capture_output=True,
        text=True,
        env=engine_environment(),
        **as_user(user),
    )
    if done.returncode:
        raise EngineError(f"initdb of PostgreSQL {installation.version} failed: {done.stderr}")
    _write(directory / "pg_hba.conf", HBA, user)
    _write(directory / "pg_ident.conf", _identity_map(), user)
    with (directory / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(render_settings(settings))
        file.write(f"include_if_exists = '{RUNTIME_SETTINGS_FILE}'\n")
    _bootstrap(directory, installation, user)


def _bootstrap(directory: Path, installation: Installation, user: OsUser) -> None:
    """Make roles, the runtime's database and the extension of the default one; stop cleanly."""
    with tempfile.TemporaryDirectory(prefix="borealis-", dir="/tmp") as sockets:
        user.own(Path(sockets))
        log_file = directory / "bootstrap.log"
        postmaster = Postmaster(installation, user, directory, Path(sockets), log_file)
        postmaster.start(BOOTSTRAP_SETTINGS)
        try:
            with superuser_connection(postmaster, "template1") as conn:
                conn.execute(roles.create_roles(installation.major))
                conn.execute("alter database template0 allow_connections true")
                with superuser_connection(postmaster, "template0") as pristine:
                    pristine.execute(functions.FOR_DRIVERS)
                conn.execute("alter database template0 allow_connections false")
                conn.execute(f"create database {ADMIN_DATABASE} template template0")
                conn.execute(roles.CLOSE_ADMIN_DATABASE)
                conn.execute(functions.FOR_DRIVERS)
                conn.execute(roles.IN_EACH_DATABASE)
                if installation.major < CONTROL_PATH_SINCE:
                    conn.execute("create extension vector")
            with superuser_connection(postmaster, ADMIN_DATABASE) as conn:
                conn.execute(roles.ADMIN_SCHEMA)
                conn.execute(functions.MAKE_RECIPE)
                conn.execute(roles.SHRINK_ADMIN_DATABASE)
            with superuser_connection(postmaster) as conn:
                conn.execute(functions.FOR_DRIVERS)
                conn.execute(roles.IN_EACH_DATABASE)
                if installation.major >= CONTROL_PATH_SINCE:
                    conn.execute(f"set role {roles.MASTER}")
                conn.execute("create extension vector")
        finally:
            clean = postmaster.stop()
        if not clean:
            raise EngineError(f"the template did not stop cleanly:\n{postmaster.log_tail()}")
        for leftover in (
            log_file,
            directory / RUNTIME_SETTINGS_FILE,
            directory / "postmaster.opts",
        ):
            leftover.unlink(missing_ok=True)
        _drop_maps(directory)


def _drop_maps(directory: Path) -> None:
    """Remove free space and visibility maps: a quarter of the files, of which copies cost most.

    PostgreSQL takes a map that is not there as one that says nothing, and makes it again (storage/
    freespace/README, "recovery"; visibilitymap.c).
    """
    for fork in MAP_FORKS:
        for path in directory.rglob(f"*_{fork}"):
            path.unlink()


def give_to_host(directory: Path) -> None:
    """Take finished pages out of the reach of PostgreSQL's user: they are only ever copied.

    Raises EngineError where there is anything but folders and plain files that no other folder
    shares, which whoever took the server over may have put there.
    """
    for path in (directory, *directory.rglob("*")):
        status = path.lstat()
        shared = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
        if shared or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise EngineError(f"{path} is nothing that PostgreSQL makes; it may lead elsewhere")
        os.chown(path, os.geteuid(), os.getegid(), follow_symlinks=False)


def _identity_map() -> str:
    """Only the host process itself may log in at the socket, as whomever it has authenticated."""
    return f"{IDENTITY_MAP} {pwd.getpwuid(os.geteuid()).pw_name} all\n"


def _write(path: Path, text: str, user: OsUser) -> None:
    path.write_text(text, encoding="utf-8")
    user.own(path)
