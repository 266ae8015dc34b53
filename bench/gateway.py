"""What the gateway costs: pgbench direct, through pgbouncer and through the gateway, in one run.

`pgbench -S -M prepared` at 1 and 8 clients, the three taking turns round by round; figures and
ratios are medians of the rounds, and what must hold is a ratio: the gateway makes at least 0.8 of
what pgbouncer makes in session mode (which is what a relay does). Both ask for SCRAM-SHA-256, both
without TLS, which the pgbench of the engine does not speak. With one on the path that does, TLS
is measured as well; pgbouncer's transaction mode is measured with simple queries, for versions
before 1.21 cannot prepare there. Results of many small rows show what it costs to follow messages.
`--beside` puts the gateway of another checkout among the contenders, in the same run.

    python bench/gateway.py [--seconds 1] [--rounds 11] [--clients 1 8] [--beside CHECKOUT]
"""

import argparse
import json
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import structlog
from rich.console import Console
from rich.table import Table

from cluster_runtime.engine.home import SOCKET_NAME, shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, as_user, superuser_connection
from cluster_runtime.engine.sandbox.os_user import OsUser, engine_user
from cluster_runtime.engine.template import ensure_template
from cluster_runtime.gateway import make_verifier

MUST_HOLD = 0.8
BASES = ("direct", "pgbouncer", "beside")
USER, PASSWORD = "bench", secrets.token_urlsafe(12)
SCALE = 10
ROOT = Path(__file__).parents[1]
HOST_PROGRAM = ROOT / "bench" / "gateway_host.py"
MANY_ROWS = "select aid, bid from pgbench_accounts limit 10000;\n"
RESULTS = Path(__file__).parent / "results" / "gateway.json"
console = Console(width=120)


@dataclass(frozen=True)
class Contender:
    """Something to run pgbench through. cpu: seconds of processor time it has used so far."""

    name: str
    host: str
    port: int
    cpu: Callable[[], float] | None = None


@dataclass(frozen=True)
class Setting:
    """One comparison: the first contender is the floor, the second the peer, the third ours."""

    name: str
    pgbench: str
    protocol: str
    sslmode: str
    contenders: tuple[Contender, ...]
    must_hold: bool = False
    script: Path | None = None


@dataclass
class Figure:
    setting: str
    contender: str
    clients: int
    tps: float
    rounds: list[float]
    cpu_microseconds: float | None = None
    """Of the relay itself, for each transaction; noisy neighbours hardly move it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=1, help="length of one pgbench run")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument(
        "--beside", type=Path, metavar="CHECKOUT", help="measure that gateway as well"
    )
    parser.add_argument("--only", nargs="+", help="settings to measure, by a word of theirs")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))

    bouncer = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if bouncer is None:
        console.print("[yellow]pgbouncer is not installed (apt-get install pgbouncer): the peer is")
        console.print("[yellow]left out, and with it the ratio that must hold.")
    with ExitStack() as stack:
        settings = stack.enter_context(running(bouncer, options.beside))
        figures = [
            figure
            for setting in settings
            if not options.only or any(word in setting.name for word in options.only)
            for clients in options.clients
            for figure in measure(setting, clients, options.seconds, options.rounds)
        ]
    return report(figures, settings, bouncer)


def measure(setting: Setting, clients: int, seconds: int, rounds: int) -> list[Figure]:
    """All contenders once a round, in turn, so that a slow minute of the machine hits each."""
    figures = [Figure(setting.name, each.name, clients, 0, []) for each in setting.contenders]
    cpu = defaultdict[str, list[float]](list)
    with console.status(f"{setting.name}, {clients} clients"):
        for _ in range(rounds):
            for contender, figure in zip(setting.contenders, figures, strict=True):
                before = contender.cpu() if contender.cpu else 0.0
                tps = pgbench(setting, contender, clients, seconds)
                figure.rounds.append(tps)
                if contender.cpu:
                    cpu[contender.name].append((contender.cpu() - before) / (tps * seconds) * 1e6)
    for figure in figures:
        figure.tps = statistics.median(figure.rounds)
        if figure.contender in cpu:
            figure.cpu_microseconds = statistics.median(cpu[figure.contender])
    return figures


def pgbench(setting: Setting, contender: Contender, clients: int, seconds: int) -> float:
    command = [
        setting.pgbench, "--no-vacuum",
        f"--file={setting.script}" if setting.script else "--select-only",
        f"--protocol={setting.protocol}",
        f"--client={clients}", f"--time={seconds}", f"--host={contender.host}",
        f"--port={contender.port}", f"--username={USER}", "postgres",
    ]  # fmt: skip
    environment = {**os.environ, "PGPASSWORD": PASSWORD, "PGSSLMODE": setting.sslmode}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise SystemExit(f"pgbench through {contender.name} failed: {done.stderr}")
    return float(found[1])


@contextmanager
def running(bouncer: str | None, beside: Path | None) -> Iterator[list[Setting]]:
    """A server with pgbench's tables, the gateway and pgbouncer before it."""
    user = engine_user()
    installation = find_installation().reachable_by(user, shared_directory(user))
    home = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    user.own(home)
    server = Postmaster(installation, user, home / "data", home / "s", home / "log")
    ensure_template(installation, user, shared_directory(user)).copy_to(
        server.data_directory, secrets.randbits(63)
    )
    # Both relays reach the server in the same way; pgbouncer has another user than this process.
    (server.data_directory / "pg_hba.conf").write_text("local all all trust\n")
    server.start({"fsync": False, "max_connections": 100})
    path = server.socket_directory / SOCKET_NAME
    own_pgbench = str(installation.program("pgbench"))
    tls_pgbench = shutil.which("pgbench")
    direct = Contender("direct", str(server.socket_directory), 5432)
    try:
        with ExitStack() as stack:
            verifier = make_verifier(PASSWORD)
            with superuser_connection(server) as conn:
                conn.execute(f"create role {USER} login superuser password '{verifier}'")
            subprocess.run(
                [own_pgbench, "--initialize", "--quiet", f"--scale={SCALE}",
                 f"--host={direct.host}", f"--username={USER}", "postgres"],
                check=True, capture_output=True,
            )  # fmt: skip
            clear, tls = stack.enter_context(gateway("gateway", ROOT, home, path, verifier))
            clears, tlss = [clear], [tls]
            if beside is not None:
                clear, tls = stack.enter_context(gateway("beside", beside, home, path, verifier))
                clears.append(clear)
                tlss.append(tls)
            many_rows = home / "many-rows.sql"
            many_rows.write_text(MANY_ROWS)

            def bounced(mode: str, sslmode: str = "disable") -> tuple[Contender, ...]:
                if bouncer is None:
                    return ()
                return (
                    stack.enter_context(pgbouncer(bouncer, home, user, verifier, mode, sslmode)),
                )

            settings = [
                Setting(
                    "prepared, without TLS", own_pgbench, "prepared", "disable",
                    (direct, *bounced("session"), *clears), must_hold=True,
                ),
                Setting(
                    "simple (transaction mode)", own_pgbench, "simple", "disable",
                    (direct, *bounced("transaction"), *clears),
                ),
                Setting(
                    "10,000 small rows", own_pgbench, "prepared", "disable",
                    (direct, *clears), script=many_rows,
                ),
            ]  # fmt: skip
            if tls_pgbench is not None and tls_pgbench != own_pgbench:
                settings.append(
                    Setting(
                        "TLS, prepared", tls_pgbench, "prepared", "require",
                        (*bounced("session", "require"), *tlss),
                    )
                )  # fmt: skip
            else:
                console.print("[yellow]no pgbench with TLS on the path: TLS is left out.")
            yield settings
    finally:
        server.stop()
        shutil.rmtree(home)


@contextmanager
def gateway(
    name: str, checkout: Path, home: Path, path: Path, verifier: str
) -> Iterator[tuple[Contender, Contender]]:
    """The gateway of a checkout in a process of its own; without TLS, and with it."""
    facts = {"tls": str(home / "tls"), "socket": str(path), "user": USER, "verifier": verifier}
    with subprocess.Popen(
        [sys.executable, str(HOST_PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(facts) + "\n")
        process.stdin.flush()
        ports = json.loads(process.stdout.readline())
        times = psutil.Process(process.pid).cpu_times

        def cpu() -> float:
            return times().user + times().system

        yield (
            Contender(name, "127.0.0.1", ports["clear"], cpu),
            Contender(name, "127.0.0.1", ports["tls"], cpu),
        )
        process.stdin.close()  # which ends it


@contextmanager
def pgbouncer(
    program: str, home: Path, user: OsUser, verifier: str, mode: str, sslmode: str
) -> Iterator[Contender]:
    """pgbouncer with the same clients' authentication, on a free port of 127.0.0.1."""
    folder = user.make_private_directory(home / f"pgbouncer-{mode}-{sslmode}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "users").write_text(f'"{USER}" "{verifier}"\n')
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": folder / "users",
        "pool_mode": mode,
        "default_pool_size": 64,
        "client_tls_sslmode": sslmode,
        "logfile": folder / "log",
        "pidfile": folder / "pid",
        "log_connections": 0,
        "log_disconnections": 0,
    }
    if sslmode == "require":
        make_certificate(folder)
        options |= {"client_tls_key_file": folder / "key", "client_tls_cert_file": folder / "crt"}
    (folder / "ini").write_text(
        f"[databases]\npostgres = host={home / 's'} port=5432\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in options.items())
    )
    for file in folder.iterdir():
        user.own(file)
    with subprocess.Popen(
        [program, "--quiet", str(folder / "ini")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **as_user(user),
    ) as process:
        try:
            wait_for(port, process)
            times = psutil.Process(process.pid).cpu_times
            yield Contender(
                f"pgbouncer ({mode})", "127.0.0.1", port, lambda: times().user + times().system
            )
        finally:
            process.terminate()


def make_certificate(folder: Path) -> None:
    """A self-signed certificate of the kind the gateway has (P-256)."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "1", "-subj", "/CN=localhost", "-keyout", str(folder / "key"),
         "-out", str(folder / "crt")],
        check=True, capture_output=True,
    )  # fmt: skip


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("pgbouncer did not start") from None
            time.sleep(0.02)
        else:
            return


def ratio(figure: Figure, base: Figure) -> float:
    """The median over the rounds: what ran within the same seconds is compared."""
    return statistics.median(a / b for a, b in zip(figure.rounds, base.rounds, strict=True))


def report(figures: list[Figure], settings: list[Setting], bouncer: str | None) -> int:
    table = Table(title="pgbench --select-only, transactions a second (median of the rounds)")
    for heading in (
        "setting",
        "clients",
        "through",
        "tps",
        "of direct",
        "of pgbouncer",
        "of beside",
        "own CPU, µs",
    ):
        table.add_column(heading, justify="left" if heading in ("setting", "through") else "right")
    missed = []
    binding = {setting.name for setting in settings if setting.must_hold}
    for figure in figures:
        group = [f for f in figures if (f.setting, f.clients) == (figure.setting, figure.clients)]
        ratios = {
            word: ratio(figure, base)
            for word in BASES
            for base in group
            if base.contender.startswith(word)
        }
        table.add_row(
            figure.setting,
            str(figure.clients),
            figure.contender,
            f"{figure.tps:,.0f}",
            *(f"{ratios[word]:.2f}" if word in ratios else "" for word in BASES),
            f"{figure.cpu_microseconds:.1f}" if figure.cpu_microseconds else "",
            end_section=figure is group[-1],
        )
        if (
            figure.setting in binding
            and figure.contender == "gateway"
            and ratios.get("pgbouncer", MUST_HOLD) < MUST_HOLD
        ):
            missed.append(f"{figure.clients} clients: {ratios['pgbouncer']:.2f}")
    console.print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"must_hold": MUST_HOLD, "figures": [asdict(f) for f in figures]}, indent=2)
    )
    if missed:
        console.print(f"[red]below {MUST_HOLD} of pgbouncer at {'; '.join(missed)}")
        return 1
    if bouncer is not None and any(figure.setting in binding for figure in figures):
        console.print(f"[green]at least {MUST_HOLD} of pgbouncer without TLS, as must hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
