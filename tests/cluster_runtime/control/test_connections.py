"""Connections made in the process that hosts the cluster."""

import subprocess
import sys
from pathlib import Path

CANCELS = """
import asyncio, sys, threading
import psycopg
from cluster_runtime import Runtime

SLEEP, SLEEPERS = "select pg_sleep(60)", "select 1 from pg_stat_activity where query = %s"

def wait_for_the_sleeper(admin):
    while not admin.execute(SLEEPERS, (SLEEP,)).fetchone():
        pass

async def cancel_an_asynchronous_one(cluster, admin):
    async with await cluster.aconnect(autocommit=True) as conn:
        sleeping = asyncio.create_task(conn.execute(SLEEP))
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for_the_sleeper, admin)
        conn.cancel()
        try:
            await sleeping
        except psycopg.errors.QueryCanceled:
            print("cancelled")

with Runtime.open(sys.argv[1], warm_pool_size=0) as runtime:
    cluster = runtime.create_db_cluster("notes")
    with cluster.connect(autocommit=True) as conn, cluster.connect(autocommit=True) as admin:
        def cancel():
            wait_for_the_sleeper(admin)
            conn.cancel()
        other = threading.Thread(target=cancel)
        other.start()
        try:
            conn.execute(SLEEP)
        except psycopg.errors.QueryCanceled:
            print("cancelled")
        other.join()
        conn.execute("select 'something else'")
        asyncio.run(cancel_an_asynchronous_one(cluster, admin))
"""


def test_a_statement_is_cancelled_from_another_thread(state_dir: Path) -> None:
    """In a process of its own: a cancel that keeps the interpreter's lock would hang this one."""
    done = subprocess.run(
        [sys.executable, "-c", CANCELS, state_dir], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["cancelled", "cancelled"], done.stderr
