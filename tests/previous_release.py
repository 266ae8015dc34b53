"""Earlier releases, taken from the project's history: what they left behind has to open."""

import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

PREVIOUS_RELEASE = "73a0f4c"
"""The commit of the release before the cluster format 2."""
LAST_RELEASE = "61ba432"
"""The commit of the release before hosts and the catalog's version 3."""

ROOT = Path(__file__).parents[1]


def checked_out(folder: Path, commit: str = PREVIOUS_RELEASE) -> Path:
    """The tree of a release below `folder`. Skips where there is no history."""
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", "--format=tar", commit], capture_output=True
    )
    if archive.returncode:
        pytest.skip(f"this tree has no commit {commit}: {archive.stderr.decode()[:200]}")
    target = folder / f"release-{commit}"
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as tar:
        tar.extractall(target, filter="data")
    return target


def run(tree: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the packages of that tree."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        timeout=120,
    )
