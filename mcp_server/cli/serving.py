"""The commands that run a host: `borealis serve` in its forms, and `borealis status`."""

import hashlib
import json
import os
import plistlib
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mcp_server.cli import console

if TYPE_CHECKING:
    from cluster_runtime.api.calls import HostStatus
    from cluster_runtime.host.log_limits import LogLimits
    from cluster_runtime.serverless.options import CapacityOptions

DEFAULT_DIRECTORY = Path("~/.borealis")
STARTED_AGAIN_SECONDS = 2

UNIT = """\
[Unit]
Description=Borealis: PostgreSQL clusters of {directory}

[Service]
ExecStart={command}
Restart=on-failure
RestartSec={again}
KillMode=mixed
Delegate=cpu memory
TimeoutStopSec=120

[Install]
WantedBy=default.target
"""


@dataclass(frozen=True, slots=True)
class Service:
    """What a service manager is told. file: where it looks for it; enable: what starts it."""

    file: Path
    content: bytes
    enable: str


def serve(
    state_dir: Path,
    warm_pool: int,
    port: int,
    log: "LogLimits",
    capacity: "CapacityOptions",
    *,
    replace: bool,
) -> None:
    """Host until a signal says so. Raises what opening the directory raises."""
    from cluster_runtime import Runtime, tracing
    from cluster_runtime.control.records.options import RuntimeOptions
    from cluster_runtime.host.background import wait
    from cluster_runtime.host.serving import serving

    options = RuntimeOptions(warm_pool_size=warm_pool, endpoint_port=port, capacity=capacity)
    # To be told to end is how this command ends well, also before it waits for that.
    told = suppress(KeyboardInterrupt, SystemExit)
    hosting = serving(state_dir.expanduser(), options, replace=replace, log=log)
    with tracing.exporting(os.environ), hosting as hosted, told:
        console.clusters(Runtime(hosted).describe_db_clusters())
        console.note("hosting; press Ctrl-C to stop")
        wait(hosted)


def stop(state_dir: Path) -> None:
    """End the present host in good order."""
    from cluster_runtime.host.serving import end_host

    pid = end_host(state_dir.expanduser())
    console.note("nobody hosts here" if pid is None else f"the host, process {pid}, has ended")


def install(state_dir: Path, warm_pool: int) -> None:
    """Write what the service manager of this system needs, and say how to start it."""
    service = service_for(state_dir, warm_pool, sys.platform, Path.home())
    service.file.parent.mkdir(parents=True, exist_ok=True)
    service.file.write_bytes(service.content)
    console.note(f"wrote {service.file}; start it now and after each login with:")
    console.out.print(Text(service.enable), soft_wrap=True)


def show_status(state_dir: Path, *, as_json: bool) -> int:
    """Print who hosts; the exit status, 1 where nobody does."""
    from cluster_runtime.host.serving import host_status

    found = host_status(state_dir.expanduser())
    if as_json:
        from cluster_runtime.api.protocols.codec import encode

        console.out.print_json(json.dumps(encode(found)))
    elif found is None:
        console.note("nobody hosts here; the next command starts a host in the background")
    else:
        console.out.print(_table(found))
    return 1 if found is None else 0


def service_for(state_dir: Path, warm_pool: int, platform: str, home: Path) -> Service:
    """The service of a state directory: a systemd user unit, or a launchd agent on macOS."""
    directory = state_dir.expanduser().absolute()
    command = [
        *(sys.executable, "-m", "mcp_server.cli", "serve", "--replace"),
        *("--state-dir", str(directory), "--warm-pool", str(warm_pool)),
    ]
    name = "borealis"
    if directory != DEFAULT_DIRECTORY.expanduser():
        name += f"-{hashlib.sha256(bytes(directory)).hexdigest()[:8]}"
    if platform == "darwin":
        label = f"org.borealis.{name}"
        file = home / "Library" / "LaunchAgents" / f"{label}.plist"
        agent = {
            "Label": label,
            "ProgramArguments": command,
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": STARTED_AGAIN_SECONDS,
            "ExitTimeOut": 120,
        }
        enable = f"launchctl bootstrap gui/$(id -u) {shlex.quote(str(file))}"
        return Service(file, plistlib.dumps(agent), enable)
    file = home / ".config" / "systemd" / "user" / f"{name}.service"
    quoted = " ".join(_quoted_for_systemd(word) for word in command)
    unit = UNIT.format(
        directory=str(directory).replace("%", "%%"), command=quoted, again=STARTED_AGAIN_SECONDS
    )
    enable = f"systemctl --user daemon-reload && systemctl --user enable --now {name}"
    return Service(file, unit.encode(), enable)


def _quoted_for_systemd(word: str) -> str:
    """A word of a command (systemd.service, "Command lines"): % and $ stand for themselves."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _table(found: "HostStatus") -> Table:
    facts = found.facts
    idle = "never, of itself"
    if found.idle_seconds_max is not None:
        idle = f"after {found.idle_seconds_max / 60:g} minutes without use"
    kinds = {"background": "in the background", "serve": "borealis serve", "program": "a program"}
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in (
        ("Host", f"process {facts.pid}, {kinds[facts.kind]}"),
        ("Version", f"{facts.version} (protocol {facts.protocol})"),
        ("Since", f"{facts.start_time:%Y-%m-%d %H:%M:%S %Z}"),
        ("Socket", str(facts.socket)),
        ("RDS endpoint", facts.endpoint_url or "none"),
        ("Shared port", str(facts.gateway_port or "none")),
        ("Attached", f"{console.counted(found.attached, 'process')}, this command included"),
        ("Connections", str(found.connections)),
        ("Running clusters", str(found.running)),
        ("Ends", idle),
    ):
        table.add_row(name, Text(value))
    return table
