"""How every bench ends: a table for the reader, JSON for the next program."""

import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"

console = Console(width=110)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    table = Table(title=title)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(table)


def write_json(name: str, figures: dict[str, Any]) -> Path:
    """Write the figures of a run to `bench/results/<name>.json`."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    about = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": platform.machine()}
    path.write_text(json.dumps({**about, **figures}, indent=2) + "\n", encoding="utf-8")
    return path
