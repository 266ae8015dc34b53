"""A system identifier of its own, without pg_resetwal."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.engine.control_file import (
    new_system_identifier,
    system_identifier,
    with_system_identifier,
    with_wal_system_identifier,
)
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.template import Template
from cluster_runtime.errors import EngineError


def test_a_copy_has_its_own_identifier_and_recovers_from_a_crash(
    template: Template, engine_dir: Path
) -> None:
    """Recovery reads the log from its start: it would refuse pages of another system."""
    identifier = new_system_identifier()
    data = engine_dir / "data"
    template.copy_to(data, identifier)
    postmaster = Postmaster(
        template.installation, template.user, data, engine_dir / "s", engine_dir / "log"
    )
    postmaster.start({})
    with superuser_connection(postmaster) as conn:
        conn.execute("create table t as select generate_series(1, 1000) as x")
    postmaster.kill()

    postmaster.start({})
    with superuser_connection(postmaster) as conn:
        found = conn.execute("select system_identifier from pg_control_system()").fetchone()
        assert found == (identifier,)
        assert conn.execute("select count(*) from t").fetchone() == (1000,)
    assert postmaster.stop(Shutdown.FAST)


def test_pg_controldata_finds_no_fault_with_the_checksum(
    template: Template, engine_dir: Path
) -> None:
    template.copy_to(engine_dir / "data", 42)
    program = template.installation.program("pg_controldata")
    out = subprocess.run([program, engine_dir / "data"], capture_output=True, text=True, check=True)
    assert "WARNING" not in out.stdout + out.stderr
    assert "Database system identifier:           42\n" in out.stdout


@given(identifier=st.integers(0, 2**64 - 1))
def test_only_the_identifier_and_the_checksum_change(template: Template, identifier: int) -> None:
    before = (template.directory / "global" / "pg_control").read_bytes()
    after = with_system_identifier(before, identifier)
    assert system_identifier(after) == identifier
    assert len(after) == len(before)
    assert with_system_identifier(after, system_identifier(before)) == before


@given(junk=st.binary(min_size=512, max_size=8192))
def test_what_is_no_control_file_is_refused(junk: bytes) -> None:
    with pytest.raises(EngineError, match="no valid checksum"):
        with_system_identifier(junk, 1)


def test_a_page_with_a_short_header_is_left_alone() -> None:
    page = bytes(8192)
    assert with_wal_system_identifier(page, 7) == page
