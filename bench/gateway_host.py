"""Hosts a gateway for `bench/gateway.py`: that of whichever checkout is on PYTHONPATH.

Takes one line of facts on standard input, answers with the ports, ends with its input.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import structlog

from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.gateway import CertificateAuthority, EndpointSpec, Gateway, Login


class BenchBackend:
    """The gateway's way to a server that always runs."""

    def __init__(self, path: Path, login: Login) -> None:
        self._path = path
        self._login = login

    async def login(self, user: str) -> Login | None:
        return self._login if user == self._login.name else None

    async def wake(self) -> Path:
        return self._path

    def route(self, woken: Path) -> Path:
        return woken

    async def may_cancel(self, pid: int) -> bool:
        return True

    def opened(self) -> None:
        """Nothing pauses here."""

    def closed(self) -> None:
        """Nothing pauses here."""


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    facts = json.loads(sys.stdin.readline())
    thread = LoopThread("gateway")
    made = Gateway(
        certificates=CertificateAuthority.open(Path(facts["tls"])),
        access_keys={},
        region="us-east-1",
    )
    spec = EndpointSpec(cluster="bench", names=("bench.localhost",), require_tls=False)
    backend = BenchBackend(Path(facts["socket"]), Login(facts["user"], facts["verifier"]))
    clear = thread.call(made.open_endpoint(spec, backend))
    tls = thread.call(made.open_endpoint(replace(spec, require_tls=True), backend))
    print(json.dumps({"clear": clear.port, "tls": tls.port}), flush=True)
    sys.stdin.read()
    thread.call(made.close())
    thread.close()


if __name__ == "__main__":
    main()
