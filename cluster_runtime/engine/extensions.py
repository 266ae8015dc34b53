"""Extensions that the master user may install.

PostgreSQL lets a non-superuser install an extension whose control file says `trusted`. The
contrib modules say so themselves; pgvector is as safe (no file, no network, no program) but does
not, so a copy of its control file that does stands before the installation's own in
`extension_control_path`. PostgreSQL before 18 has no such setting: there the template databases
bring the extension with them.

Source: PostgreSQL 18 manual, "CREATE EXTENSION" and "extension_control_path".
"""

import shutil
from pathlib import Path

from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.os_user import OsUser

TRUSTED_HERE = ("vector",)
CONTROL_PATH_SINCE = 18


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
        for script in system.glob(f"{name}--*.sql"):
            shutil.copyfile(script, folder / script.name)
        control = (system / f"{name}.control").read_text(encoding="utf-8")
        (folder / f"{name}.control").write_text(f"{control}trusted = true\n", encoding="utf-8")
    return f"{base}:$system"


def _system_extensions(installation: Installation) -> Path:
    """The folder of control files: `share/extension`, or `share/postgresql/extension`."""
    found = sorted(installation.prefix.glob("share/**/extension/plpgsql.control"))
    return found[0].parent if found else installation.prefix / "share" / "extension"
