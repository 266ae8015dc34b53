"""Files in less of the disk than their size, with every byte that they had."""

import os
from pathlib import Path

import pytest

from cluster_runtime.storage.disk.sparse import make_sparse, own_bytes

MIB = 1 << 20


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        bytes(MIB),
        bytes(3 * MIB) + b"x",
        b"x" + bytes(2 * MIB),
        b"x" * 4096 + bytes(MIB) + b"y" * 5000 + bytes(MIB + 17),
        bytes(4095) + b"x" + bytes(4096) + b"y",
    ],
)
def test_a_file_reads_as_before(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for _ in range(2):
        make_sparse(path)
        assert path.read_bytes() == content


def test_zeros_take_no_space_and_what_is_written_into_them_later_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 4096 + bytes(8 * MIB))
    os.sync()
    make_sparse(path)
    assert path.stat().st_blocks * 512 < MIB
    with path.open("r+b") as file:
        file.seek(4 * MIB)
        file.write(b"later")
    make_sparse(path)
    assert path.read_bytes()[4 * MIB : 4 * MIB + 5] == b"later"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(bytes(MIB))
    link = tmp_path / "link"
    link.symlink_to(there)
    with pytest.raises(OSError, match=r"Too many levels|symbolic"):
        make_sparse(link)


def test_a_file_with_a_name_elsewhere_is_not_the_folder_s_own(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    folder.mkdir()
    elsewhere.write_bytes(os.urandom(MIB))
    before = own_bytes(folder)
    os.link(elsewhere, folder / "shared")
    assert own_bytes(folder) == before
    own = folder / "own"
    own.write_bytes(os.urandom(MIB))
    os.link(own, folder / "again")
    os.sync()
    assert before + MIB <= own_bytes(folder) < before + 2 * MIB
