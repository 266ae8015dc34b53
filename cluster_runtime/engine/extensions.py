"""Extensions that the master user may install.

PostgreSQL lets a non-superuser install an extension whose control file says `trusted`. The
contrib modules say so themselves; pgvector and pg_stat_statements are as safe (no file, no network,
no program) but do not, so copies of their control files that do stand before the installation's own
in `extension_control_path`. PostgreSQL before 18 has no such setting: there the template databases
bring pgvector with them.

pg_stat_statements counts only where its library is loaded at the start of the server.

Source: PostgreSQL 18 manual, "CREATE EXTENSION" and "extension_control_path".
"""

import os
import re
from functools import cache
from pathlib import Path

from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.settings import Settings

TRUSTED_HERE = ("vector", "pg_stat_statements")
CONTROL_PATH_SINCE = 18
PRELOADED = "pg_stat_statements"

_TRUSTED = re.compile(r"^\s*trusted\s*=\s*'?(true|on|yes|1)\b", re.MULTILINE | re.IGNORECASE)

_RESET = "grant execute on function pg_stat_statements_reset to rds_superuser;\n"
"""As on RDS: counters are reset by members of rds_superuser, not by the superuser alone."""


@cache
def installable(installation: Installation) -> tuple[str, ...]:
    """The names of the extensions that the master user may create, in order."""
    here = TRUSTED_HERE if installation.major >= CONTROL_PATH_SINCE else ("vector",)
    return tuple(
        sorted(
            control.stem
            for control in _system_extensions(installation).glob("*.control")
            if control.stem in here or _TRUSTED.search(_read(control))
        )
    )


def preload_settings(installation: Installation) -> Settings:
    """The libraries that a server of this installation loads at its start."""
    found = any(installation.prefix.glob(f"lib/**/{PRELOADED}.*"))
    return {"shared_preload_libraries": PRELOADED} if found else {}


def trusted_control_path(installation: Installation, user: OsUser, cache: Path) -> str | None:
    """The value of `extension_control_path`, its files made where missing; None before 18."""
    if installation.major < CONTROL_PATH_SINCE:
        return None
    base = user.make_passage(cache / "extensions")
    base = user.make_passage(base / f"{installation.source}-{installation.version}")
    folder = base / "extension"
    folder.mkdir(mode=0o755, exist_ok=True)
    system = _system_extensions(installation)
    for name in TRUSTED_HERE:
        control = system / f"{name}.control"
        if control.is_file():
            _write(folder / control.name, f"{_read(control)}trusted = true\n")
            for script in system.glob(f"{name}--*.sql"):
                _write(folder / script.name, _read(script) + _added_to(script, _version(control)))
    return f"{base}:$system"


def _system_extensions(installation: Installation) -> Path:
    """The folder of control files: `share/extension`, or `share/postgresql/extension`."""
    found = sorted(installation.prefix.glob("share/**/extension/plpgsql.control"))
    return found[0].parent if found else installation.prefix / "share" / "extension"


def _version(control: Path) -> str:
    """The version that CREATE EXTENSION makes."""
    found = re.search(r"^default_version\s*=\s*'([^']+)'", _read(control), re.MULTILINE)
    return found[1] if found else ""


def _added_to(script: Path, version: str) -> str:
    """What the runtime adds to the script that brings an extension to its default version."""
    last = script.stem.startswith(f"{PRELOADED}--") and script.stem.endswith(f"--{version}")
    return _RESET if last else ""


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    """Leave a file that is right alone: a server may be reading it."""
    if path.is_file() and _read(path) == text:
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
