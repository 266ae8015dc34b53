"""Templates: few files, and nothing in them that a server would miss."""

import subprocess
from pathlib import Path

from cluster_runtime.engine.postmaster import Postmaster, Shutdown, as_user, superuser_connection
from cluster_runtime.engine.template import MAP_FORKS


def maps(directory: Path) -> set[str]:
    return {path.name for fork in MAP_FORKS for path in directory.rglob(f"*_{fork}")}


def test_maps_that_a_template_leaves_out_are_made_anew(stopped: Postmaster) -> None:
    assert maps(stopped.data_directory) == set()
    stopped.start({})
    try:
        with superuser_connection(stopped) as conn:
            conn.execute("create extension amcheck")
            conn.execute("vacuum (freeze) pg_class")
            conn.execute("create table t as select n from generate_series(1, 1000) n")
            conn.execute("vacuum t")
            found = conn.execute(
                "select pg_relation_size('pg_class', 'vm') > 0, pg_relation_size('t', 'fsm') > 0"
            ).fetchone()
        assert found == (True, True)
        check = subprocess.run(
            [
                stopped.installation.program("pg_amcheck"),
                *("--host", stopped.socket_directory, "--username", "rdsadmin", "postgres"),
            ],
            capture_output=True,
            text=True,
        )
        assert check.returncode == 0, check.stdout + check.stderr
    finally:
        stopped.stop(Shutdown.FAST)
    verified = subprocess.run(
        [stopped.installation.program("pg_checksums"), "--check", stopped.data_directory],
        capture_output=True,
        text=True,
        **as_user(stopped.user),
    )
    assert verified.returncode == 0, verified.stderr


def test_the_database_of_the_runtime_is_made_small(stopped: Postmaster) -> None:
    stopped.start({})
    try:
        with superuser_connection(stopped) as conn:
            found = conn.execute(
                "select pg_database_size('template0') - pg_database_size('rdsadmin')"
            ).fetchone()
    finally:
        stopped.stop(Shutdown.FAST)
    assert found is not None
    assert found[0] > 500_000
