"""A host looks for its engines once, however many clusters it brings back."""

from pathlib import Path

import pytest

from cluster_runtime.engine import children
from cluster_runtime.engine.installation import Installation, find_installation, installations


def test_a_program_tells_its_version_once_until_it_is_replaced(tmp_path: Path) -> None:
    postgres = tmp_path / "bin" / "postgres"
    postgres.parent.mkdir()
    for number in ("18.1", "18.2"):
        postgres.write_text(f"#!/bin/sh\necho run >> {tmp_path}/runs\necho postgres {number}\n")
        postgres.chmod(0o755)
        found = [Installation("path", tmp_path, (tmp_path,)).version for _ in range(3)]
        assert found == [number] * 3
    assert (tmp_path / "runs").read_text() == "run\n" * 2


def test_engines_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = find_installation().version
    known = [each.version for each in installations()]

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("looked for again")

    monkeypatch.setattr(children, "run", refused)
    monkeypatch.setattr(Path, "glob", refused)
    assert find_installation(wanted).version == wanted
    assert [each.version for each in installations()] == known
