"""What PostgreSQL's operating-system user can reach, and what it cannot."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster_runtime.engine.home import open_home
from cluster_runtime.engine.postmaster import as_user
from cluster_runtime.engine.sandbox.os_user import OsUser

only_as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="a host that is not root runs PostgreSQL as itself"
)


def may(user: OsUser, *command: str | Path) -> bool:
    return (
        subprocess.run(command, capture_output=True, check=False, **as_user(user)).returncode == 0
    )


@only_as_root
def test_a_private_folder_hides_what_lies_below_it(user: OsUser, engine_dir: Path) -> None:
    assert user.can_reach(engine_dir)
    hidden = engine_dir / "hidden"
    hidden.mkdir(mode=0o700)
    assert not user.can_reach(hidden / "below")


@only_as_root
def test_it_passes_through_the_engines_folders_and_changes_none(
    user: OsUser, engine_dir: Path
) -> None:
    home = open_home(engine_dir / "state", user)
    volume = home.clusters / "volume"
    volume.mkdir(mode=0o700)
    data = user.make_private_directory(home.clusters / "data")
    assert may(user, "touch", data / "file")
    assert not may(user, "ls", home.clusters)
    assert not may(user, "mv", volume, home.clusters / "stolen")
    assert not may(user, "touch", home.root / "new")
    assert volume.exists()


@only_as_root
def test_a_template_is_out_of_its_reach(user: OsUser, engine_dir: Path) -> None:
    from cluster_runtime.engine.installation import find_installation
    from cluster_runtime.engine.template import ensure_template

    installation = find_installation().reachable_by(user, engine_dir)
    template = ensure_template(installation, user, user.make_passage(engine_dir / "shared"))
    assert not may(user, "cat", template.directory / "PG_VERSION")
    assert not may(user, "mv", template.directory, engine_dir / "shared" / "stolen")
    template.copy_to(engine_dir / "copy", 1)
    assert may(user, "cat", engine_dir / "copy" / "PG_VERSION")
