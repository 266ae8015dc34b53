"""Programs that a bench is compared with, each in an environment of its own below build/peers."""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any, Self

HOME = Path(__file__).parent.parent / "build" / "peers"
INSTALL_TIMEOUT_S = 900
END_TIMEOUT_S = 30


class PeerMissingError(Exception):
    """A peer that cannot be had here. Its text says why."""


def environment(name: str, *packages: str) -> Path:
    """The directory of programs of an environment that has these packages from PyPI.

    It is made once; other packages under the same name make it again. Raises PeerMissingError.
    """
    home = HOME / name
    stamp, wanted = home / "installed", "\n".join(packages)
    if not (stamp.exists() and stamp.read_text() == wanted):
        print(f"installing {', '.join(packages)} into {home} ...", flush=True)
        venv.create(home, clear=True, with_pip=True, symlinks=True)
        python = str(home / "bin" / "python")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        try:
            subprocess.run(
                [*pip, "install", *packages],
                check=True,
                timeout=INSTALL_TIMEOUT_S,
                start_new_session=True,
                capture_output=True,
                text=True,
            )
        except subprocess.TimeoutExpired as error:
            raise PeerMissingError(f"{name}: not installed in {INSTALL_TIMEOUT_S} s") from error
        except subprocess.CalledProcessError as error:
            said = (error.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise PeerMissingError(f"{name}: {said}") from error
        stamp.write_text(wanted)
    return home / "bin"


class Peer:
    """A script of the bench that a peer's own Python runs: a request a line, and its answer."""

    def __init__(self, programs: Path, script: str, first: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [programs / "python", Path(__file__).parent / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.ask(**first)

    def ask(self, **request: Any) -> Any:
        """What it answers. Raises PeerMissingError when it ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerMissingError(f"{self._process.args!r} has ended") from error
        line = self._process.stdout.readline()
        if not line:
            raise PeerMissingError(f"{self._process.args!r} ended instead of an answer")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            print(f"{self._process.args!r} does not end: killed", file=sys.stderr)
            self._process.kill()
            self._process.wait()
