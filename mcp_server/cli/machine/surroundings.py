"""What `borealis doctor` says of clusters that run, and of programs around them.

Programs are psql, the packages of extras, and clients of the MCP server.
"""

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from cluster_runtime import ClusterStatus, DBCluster, Runtime
from cluster_runtime.control.records.model import InstanceStatus
from cluster_runtime.engine.diagnosis import Finding, Verdict
from cluster_runtime.errors import BorealisError
from cluster_runtime.host.serving import host_status
from cluster_runtime.serverless.capacity import MachineCapacity
from cluster_runtime.serverless.host_capacity import HostCapacity
from cluster_runtime.serverless.options import CapacityOptions
from cluster_runtime.storage.core.quorum import WRITE_QUORUM
from cluster_runtime.storage.core.types import SegmentState
from mcp_server.cli import shell
from mcp_server.cli.clients import jsonc
from mcp_server.cli.clients.known import Client, known
from mcp_server.errors import DISTRIBUTION, MODULES, USES
from mcp_server.wording import COMMAND_LINE

NEEDS_MCP = "mcp"
MCP_MAJOR = 2


def examine(state_dir: Path) -> list[Finding]:
    """Look at everything around. No host is started for it."""
    extras = [extra(name) for name in MODULES]
    clients = [found for one in known(Path.home(), os.environ) for found in client(one)]
    return [*clusters(state_dir), capacity(state_dir), psql(), *extras, *clients]


def clusters(state_dir: Path) -> list[Finding]:
    """Trouble of the clusters of a host, where there is one."""
    try:
        if not state_dir.is_dir() or host_status(state_dir) is None:
            return []
        with Runtime.open(state_dir) as runtime:
            every = runtime.describe_db_clusters()
            found = [each for facts in every for each in cluster(runtime, facts)]
    except BorealisError as error:
        return [Finding("clusters", Verdict.FAULT, error.told(COMMAND_LINE))]
    wrong = sum(1 for each in found if each.verdict is not Verdict.OK)
    says = f"{len(every)} in all" + (f", {wrong} troubles" if wrong else ", nothing is wrong")
    return [Finding("clusters", Verdict.OK, says), *found]


def cluster(runtime: Runtime, facts: DBCluster) -> Iterator[Finding]:
    """What is wrong with one cluster. A paused one is left asleep."""
    name = facts.db_cluster_identifier
    subject = f"cluster: {name}"
    if facts.status is ClusterStatus.INCOMPATIBLE_NETWORK:
        says = f"its port {facts.port} is taken by another program, so its endpoints are closed"
        yield Finding(subject, Verdict.FAULT, says, f"free the port, then: borealis start {name}")
    if not facts.capacity:
        instances = runtime.describe_db_instances(db_cluster_identifier=name)
        if any(each.db_instance_status is InstanceStatus.FAILED for each in instances):
            says = "its writer ended and could not be started again: the write quorum may be lost"
            advice = f"borealis events {name} says why; heal what is broken, or free the disk"
            yield Finding(subject, Verdict.FAULT, says, advice)
        return
    volume = runtime.describe_volume(name)
    faults = [f"{one.id} ({one.fault})" for one in volume.segments if one.fault]
    healthy = (SegmentState.HEALTHY, SegmentState.REPAIRING)
    silent = [one.id for one in volume.segments if one.state not in healthy and not one.fault]
    if faults:
        says = f"faults were injected into {', '.join(faults)}"
        yield Finding(subject, Verdict.WARNING, says, f"end them with: borealis fault heal {name}")
    if silent:
        says = f"segments that do not answer: {', '.join(silent)}"
        advice = f"they are replaced by themselves; borealis storage show {name} says more"
        yield Finding(subject, Verdict.WARNING, says, advice)
    answering = sum(one.state in healthy for one in volume.segments)
    if answering < WRITE_QUORUM or not volume.writable:
        says = "the write quorum is lost: it can be read, and commits wait"
        advice = "heal what is broken, or free the disk: four of six segments have to answer"
        yield Finding(subject, Verdict.FAULT, says, advice)


def capacity(state_dir: Path) -> Finding:
    """What holds clusters to their capacity: as the host says, or as a host would begin now."""
    try:
        machine = _of_host(state_dir) or _as_a_host_would_have()
    except BorealisError as error:
        return Finding("capacity", Verdict.FAULT, error.told(COMMAND_LINE))
    says = (
        f"{machine.total:g} ACU for all clusters ({machine.cores:g} cores, "
        f"{machine.memory_bytes / 2**30:.1f} GiB), held by {machine.enforcement}"
    )
    if not machine.gaps:
        return Finding("capacity", Verdict.OK, says)
    return Finding("capacity", Verdict.WARNING, f"{says}; not held: {'; '.join(machine.gaps)}")


def _of_host(state_dir: Path) -> MachineCapacity | None:
    if not state_dir.is_dir() or host_status(state_dir) is None:
        return None
    with Runtime.open(state_dir) as runtime:
        return runtime.describe_host().machine_capacity


def _as_a_host_would_have() -> MachineCapacity:
    """Of a folder of groups of its own, which is gone again afterwards."""
    options = CapacityOptions.of(os.environ)
    found = HostCapacity.open(options, Path(f"/doctor/{os.getpid()}"))
    try:
        return found.describe()
    finally:
        found.enforcer.close()


def psql() -> Finding:
    """Whether a psql that can be used is on the search path."""
    there = shutil.which("psql")
    if there is None:
        return Finding(
            "psql",
            Verdict.OK,
            "none on the search path: borealis psql opens its own small shell",
            "install postgresql-client for the whole of it",
        )
    if shell.psql_with_tls() is None:
        return Finding(
            "psql",
            Verdict.WARNING,
            f"{there} is built without TLS, which clusters ask for",
            "install postgresql-client; until then borealis psql opens its own small shell",
        )
    return Finding("psql", Verdict.OK, f"{there}, with TLS")


def extra(name: str) -> Finding:
    """Whether the packages of an extra are installed, and new enough."""
    subject = f"extra: {name}"
    missing = sorted(module for module in MODULES[name] if importlib.util.find_spec(module) is None)
    install = f"pip install '{DISTRIBUTION}[{name}]'"
    if missing:
        says = f"not installed ({', '.join(missing)}): {USES[name]} is not available"
        return Finding(subject, Verdict.OK, says, install)
    if name == NEEDS_MCP and int((version := metadata.version("mcp")).split(".")[0]) < MCP_MAJOR:
        says = f"mcp {version} is installed; {USES[name]} needs {MCP_MAJOR} or newer"
        return Finding(subject, Verdict.WARNING, says, f"{install}, in an environment of its own")
    return Finding(subject, Verdict.OK, f"{USES[name]}: installed")


def client(one: Client) -> Iterator[Finding]:
    """Whether a client that starts borealis finds it where its configuration says."""
    try:
        servers = jsonc.parse(one.file.read_text(encoding="utf-8-sig")).data[one.key]
        starting = {
            name: str(entry["command"])
            for name, entry in servers.items()
            if "borealis" in json.dumps(entry) and "command" in entry
        }
    except (
        OSError,
        UnicodeDecodeError,
        jsonc.JsonTextError,
        LookupError,
        AttributeError,
        TypeError,
    ):
        return  # not configured, or in a way of its own
    for name, command in starting.items():
        subject = f"client: {one.title}"
        if shutil.which(command) is None:
            yield Finding(
                subject,
                Verdict.WARNING,
                f"its server {name!r} is to be started by {command}, which is not there",
                f"write where it is now: borealis init {one.name} --name {name}",
            )
        else:
            yield Finding(subject, Verdict.OK, f"starts {command} for its server {name!r}")
