"""Tables of snapshots and of backups."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from rich.table import Column, Table
from rich.text import Text

from cluster_runtime.control.records.recovery.backups import (
    DBClusterAutomatedBackup,
    DBClusterSnapshot,
)
from mcp_server.cli import console


def snapshots(found: Sequence[DBClusterSnapshot], *, as_json: bool) -> None:
    """Those that there are, or how to make the first one."""
    if as_json:
        console.json_of([asdict(each) for each in found])
        return
    if not found:
        console.note("no snapshots yet; make one with: borealis snapshot create SNAPSHOT CLUSTER")
        return
    table = Table(Column("Snapshot", overflow="fold"), "Of", "Status", "Type", "LSN", "Created")
    for each in found:
        done = each.status == "available"
        status = each.status if done else f"{each.status} {each.percent_progress} %"
        table.add_row(
            Text(each.db_cluster_snapshot_identifier),
            Text(each.db_cluster_identifier),
            status,
            each.snapshot_type,
            each.lsn,
            _minute(each.snapshot_create_time),
        )
    console.out.print(table)


def automated_backups(found: Sequence[DBClusterAutomatedBackup], *, as_json: bool) -> None:
    """From when to when which cluster can be restored."""
    if as_json:
        console.json_of([asdict(each) for each in found])
        return
    if not found:
        console.note("no backups yet: each cluster has one within seconds")
        return
    table = Table(Column("Cluster", overflow="fold"), "Resource id", "Backup", "Days", "From", "To")
    for each in found:
        window = each.restore_window
        table.add_row(
            Text(each.db_cluster_identifier),
            each.db_cluster_resource_id,
            each.status,
            str(each.backup_retention_period),
            _second(window.earliest_time) if window is not None else "-",
            _second(window.latest_time) if window is not None else "-",
        )
    console.out.print(table)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}"
