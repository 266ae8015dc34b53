"""`borealis doctor`: prints what was found, and fails where something does not work."""

import json
from dataclasses import asdict
from pathlib import Path

import typer
from rich.table import Table
from rich.text import Text

from cluster_runtime.engine.diagnosis import Finding, Verdict, examine
from mcp_server.cli import console
from mcp_server.cli.machine import surroundings

STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.FAULT: "bold red"}


def run(state_dir: Path, *, as_json: bool) -> int:
    """Examine, print, return the exit status: 1 where there is a fault."""
    findings = [*examine(state_dir), *surroundings.examine(state_dir)]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console.out.print(draw(findings))
    return int(any(finding.verdict is Verdict.FAULT for finding in findings))


def draw(findings: list[Finding]) -> Table:
    """Findings as a table."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        says = Text(finding.says)
        if finding.advice:
            says.append(f"\n{finding.advice}", style="italic")
        verdict = Text(finding.verdict.value, style=STYLES[finding.verdict])
        table.add_row(verdict, Text(finding.subject), says)
    return table
