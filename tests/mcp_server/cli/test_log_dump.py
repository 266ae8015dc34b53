"""Log files of a real volume, and what damage to one looks like."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from cluster_runtime import ClusterHandle, Runtime
from mcp_server.cli import log_dump
from mcp_server.cli.commands import main


@pytest.fixture(scope="session")  # a worker may come to this file twice
def log_file(runtime: Runtime, state_dir: Path) -> Path:
    """The first log file of a segment of a cluster that runs and has committed something."""
    cluster: ClusterHandle = runtime.create_db_cluster("logged")
    with cluster.connect() as connection:
        connection.execute("create table t as select generate_series(1, 1000) as x")
    (folder,) = (state_dir / "state").glob(f"**/{cluster.id}/volume/az-a/a1/log")
    return min(folder.iterdir())


def test_the_frames_of_a_file_form_one_chain(log_file: Path) -> None:
    dump = log_dump.read(log_file)
    assert dump.mark is not None
    assert not dump.damaged
    batches = [one.batch for one in dump.found]
    assert len(batches) > 1
    assert batches[0].previous == dump.mark.previous
    assert [later.previous for later in batches[1:]] == [batch.end for batch in batches[:-1]]


def test_damage_is_shown_where_it_lies_and_what_follows_is_read(
    log_file: Path, tmp_path: Path
) -> None:
    whole = log_dump.read(log_file)
    content = bytearray(log_file.read_bytes())
    hit = whole.found[0].offset + 80
    content[hit] ^= 0xFF
    harmed = tmp_path / log_file.name
    harmed.write_bytes(content)
    dump = log_dump.read(harmed)
    assert dump.damaged
    assert dump.found[0].offset == whole.found[0].offset
    console = Console(file=io.StringIO(), width=200)
    console.print(log_dump.draw(dump))
    assert "checksum" in console.file.getvalue()


def test_the_command_prints_frames_and_its_status_tells_of_damage(
    log_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["storage", "dump", str(log_file)])
    assert exit_.value.code in (0, None)
    assert "Back-link" in capfd.readouterr().out
    for wrong in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(SystemExit) as exit_:
            main(["storage", "dump", str(wrong)])
        assert exit_.value.code == 1
        assert capfd.readouterr().err.startswith("error: ")
