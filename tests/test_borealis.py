"""The namespace `borealis`: every public name of the packages, and nothing loaded for it."""

import subprocess
import sys

import pytest

import borealis
import cluster_runtime
import mcp_server.nl2sql
import memory

HOMES = [cluster_runtime, memory, mcp_server.nl2sql]


@pytest.mark.parametrize("package", HOMES, ids=lambda package: package.__name__)
def test_every_public_name_is_the_same_object_under_borealis(package: object) -> None:
    names = getattr(package, "__all__")  # noqa: B009 - typed as an object
    assert {name for name in names if name not in borealis.__all__} == set()
    assert [name for name in names if getattr(borealis, name) is not getattr(package, name)] == []


def test_it_has_no_name_of_its_own() -> None:
    assert set(borealis.__all__) == {name for package in HOMES for name in package.__all__}
    assert borealis.__all__ == sorted(borealis.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = borealis.Nothing  # type: ignore[attr-defined]


def test_to_import_it_loads_none_of_them() -> None:
    code = (
        "import sys, borealis; "
        "print({'cluster_runtime', 'memory', 'mcp_server', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
