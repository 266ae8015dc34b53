"""Copies of templates that are made before anybody asks for one."""

import os
from pathlib import Path

import pytest

from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.system.copies import CopiesAhead
from tests.waiting import wait_until


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "1259").write_bytes(b"pages")
    return folder


def test_a_copy_that_waits_is_in_nobody_s_reach_but_the_host_s(
    template: Path, tmp_path: Path
) -> None:
    """Whatever else runs as the user that clusters share could change what is in a clone."""
    folder = tmp_path / "copies"
    copies = CopiesAhead(folder)
    copies.prepare(template)
    ready = wait_until(lambda: copies.take(template))
    assert ready is not None
    for path in (folder, ready, *ready.rglob("*")):
        status = path.stat()
        assert status.st_uid == os.geteuid()
        assert not status.st_mode & 0o077
    assert (ready / "base" / "1259").read_bytes() == b"pages"
    if os.geteuid() == 0:
        assert engine_user().uid != folder.stat().st_uid
    copies.close()
    assert not folder.exists()
