"""The command `top`: every cluster on a line, again and again."""

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.live import Live
from rich.table import Table
from rich.text import Text

from cluster_runtime.errors import BorealisError, ClusterNotFoundError
from mcp_server.cli import console
from mcp_server.cli.watching.following import until_interrupted
from mcp_server.cli.watching.samples import Row, Sample, Segment, rows
from mcp_server.wording import COMMAND_LINE

if TYPE_CHECKING:
    from cluster_runtime import DBCluster, Runtime
    from cluster_runtime.serverless.capacity import MachineCapacity

STYLES = {"healthy": "green", "repairing": "yellow"}
STATUS_STYLES = {"available": "green", "paused": "dim", "stopped": "dim"}
TITLES = (
    *("Cluster", "Status", "ACU", "CPU", "Connections", "Commits/s", "Log/s", "Lag"),
    "Segments a b c",
)
ANSWERING = ("healthy", "repairing")


def watch(
    runtime: "Runtime", names: Sequence[str], seconds: float, *, once: bool, as_json: bool
) -> None:
    """Look every `seconds`; once: after the first interval, which rates need, it ends.

    Raises ClusterNotFoundError for a name that there is not at the beginning.
    """
    only = frozenset(runtime.cluster(name).id for name in names)
    before = take(runtime, only)
    if once or as_json or not console.out.is_terminal:
        with until_interrupted():
            while True:
                time.sleep(seconds)
                now = take(runtime, only)
                _print(rows(before, now), _machine(runtime), as_json=as_json)
                before = now
                if once or not as_json:
                    return
    with (
        until_interrupted(),
        Live(draw(rows((), before), _machine(runtime)), console=console.out, screen=True) as live,
    ):
        while True:
            time.sleep(seconds)
            now = take(runtime, only)
            live.update(draw(rows(before, now), _machine(runtime)), refresh=True)
            before = now


def take(runtime: "Runtime", only: Collection[str] = ()) -> list[Sample]:
    """A sample of each cluster; only: of those of these resource ids."""
    found = []
    for facts in runtime.describe_db_clusters():
        if not only or facts.db_cluster_resource_id in only:
            try:
                found.append(_sample(runtime, facts))
            except ClusterNotFoundError:
                continue  # deleted meanwhile
    return found


def draw(shown: Sequence[Row], machine: "MachineCapacity | None" = None) -> Table:
    """The picture. machine: what there is for all; None where nobody says."""
    clock = f"{time.strftime('%H:%M:%S')}  clusters: {len(shown)}, running: {_running(shown)}"
    table = Table(
        *("Cluster", "Status", "ACU", "Wanted", "CPU", "Connections", "Commits/s", "Log/s", "Lag"),
        *("Segments a b c", "Why"),
        title=clock + (f"  {_budget(machine)}" if machine is not None else ""),
        title_justify="left",
    )
    table.columns[9].no_wrap = True
    for at in (2, 3, 4, 5, 6, 7, 8):
        table.columns[at].justify = "right"
    for row in shown:
        sample = row.sample
        table.add_row(
            Text(sample.cluster),
            Text(sample.status, STATUS_STYLES.get(sample.status, "yellow")),
            f"{sample.capacity:g}",
            "" if sample.wanted is None else f"{sample.wanted:g}",
            "" if sample.cpu_cores is None else f"{sample.cpu_cores:.2f}",
            str(sample.connections),
            _number(row.commits_per_second),
            _bytes(row.log_bytes_per_second),
            _bytes(row.lag_bytes),
            Text(sample.problem, "red") if sample.problem else _six(sample.segments),
            Text(sample.why),
        )
    return table


def _sample(runtime: "Runtime", facts: "DBCluster") -> Sample:
    name = facts.db_cluster_identifier
    activity = runtime.describe_activity(name)
    vdl, segments, problem = None, [], ""
    if facts.capacity:  # a paused cluster's volume may be closed: it stays so
        try:
            volume = runtime.describe_volume(name)
            vdl = volume.vdl
            segments = [
                Segment(
                    one.id,
                    one.state.value,
                    max(0, vdl - one.scl) if one.state.value in ANSWERING else None,
                    one.fault,
                )
                for one in volume.segments
            ]
        except ClusterNotFoundError:
            raise
        except BorealisError as error:
            problem = error.told(COMMAND_LINE)
    return Sample(
        time.monotonic(),
        name,
        console.status(facts),
        facts.capacity,
        activity.connections,
        activity.commits,
        activity.replica_lag_bytes,
        vdl,
        tuple(segments),
        problem,
        activity.cpu_cores,
        facts.serverless_capacity.wanted if facts.serverless_capacity is not None else None,
        facts.serverless_capacity.reason if facts.serverless_capacity is not None else "",
    )


def _machine(runtime: "Runtime") -> "MachineCapacity | None":
    return runtime.describe_host().machine_capacity


def _budget(machine: "MachineCapacity") -> str:
    return (
        f"machine: {machine.granted:g} of {machine.total:g} ACU given, {machine.wanted:g} wanted, "
        f"held by {machine.enforcement}"
    )


def _print(shown: Sequence[Row], machine: "MachineCapacity | None", *, as_json: bool) -> None:
    if as_json:
        said = {
            "clusters": [row.as_json() for row in shown],
            "machine": None if machine is None else asdict(machine),
        }
        print(json.dumps(said), flush=True)
    else:
        console.out.print(draw(shown, machine))


def _six(segments: Sequence[Segment]) -> Text:
    """▣▣ ▣▣ ▣▢: two for each availability zone; hollow ones do not answer."""
    text = Text()
    for at, one in enumerate(sorted(segments, key=lambda each: each.id)):
        if at and at % 2 == 0:
            text.append(" ")
        answers = one.state in ANSWERING
        style = "yellow" if one.fault and answers else STYLES.get(one.state, "red")
        text.append("▣" if answers else "▢", style)
    return text


def _running(shown: Sequence[Row]) -> int:
    return sum(1 for row in shown if row.sample.capacity)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _bytes(value: float | None) -> str:
    from mcp_server.cli.volume_view import size

    return "" if value is None else size(int(value))
