"""Standard streams and a directory that take nothing: a line says so, and nothing else happens."""

import subprocess
import sys
from pathlib import Path

import pytest

from cluster_runtime import Runtime

BOREALIS = [sys.executable, "-m", "mcp_server.cli"]

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


@needs_full
@pytest.mark.parametrize(
    "command", ["--version", "--help", "config", "config --json", "list --help"]
)
def test_an_output_that_takes_no_more_is_said_in_a_line(command: str, state_dir: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*BOREALIS, *command.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            env={"BOREALIS_STATE_DIR": str(state_dir), "HOME": str(state_dir)},
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: what there is to say cannot be written: No space left on device\n"


@needs_full
def test_what_a_host_told_is_not_lost_in_silence(state_dir: Path) -> None:
    with (
        Runtime.open(state_dir / "full", warm_pool_size=0) as runtime,
        open("/dev/full", "w") as full,
    ):
        runtime.create_db_cluster("notes")
        for command in ("list", "list --json", "describe notes", "url notes", "logs notes"):
            done = subprocess.run(
                [*BOREALIS, *command.split(), "--state-dir", str(state_dir / "full")],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
            assert "cannot be written" in done.stderr, (command, done.stderr)
            assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_question_whose_asker_has_no_input_changes_nothing(state_dir: Path) -> None:
    with Runtime.open(state_dir / "asked", warm_pool_size=0) as runtime:
        runtime.create_db_cluster("kept")
        script = f"exec {' '.join(BOREALIS)} delete kept --state-dir {state_dir}/asked <&-"
        done = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: nobody answers this question")
        assert len(runtime.describe_db_clusters()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_directory_in_which_nothing_can_be_made_is_named() -> None:
    done = subprocess.run(
        [*BOREALIS, "list", "--state-dir", "/proc"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: /proc/")
    assert done.stderr.count("\n") == 1
