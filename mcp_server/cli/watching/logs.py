"""The command `logs`: lines of a server's log or of the host's, and those that come."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster_runtime.host.log_file import follow_lines, last_lines
from mcp_server.cli.watching.following import EVERY_SECONDS, until_interrupted

if TYPE_CHECKING:
    from cluster_runtime import Runtime


def show(
    runtime: "Runtime",
    name: str,
    instance: str | None,
    lines: int,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """Print the last lines of the log of an instance, the writer by default; then go on.

    Raises what the operations on log files raise.
    """
    of = instance or _writer(runtime, name)
    with until_interrupted():
        for line in _lines(runtime, of, lines, follow=follow):
            print(json.dumps({"instance": of, "line": line}) if as_json else line, flush=True)


def show_host(directory: Path, lines: int, *, follow: bool, as_json: bool) -> None:
    """Print the last lines of the log of whoever hosts a state directory, or did; then go on."""
    shown = (
        follow_lines(directory, lines, EVERY_SECONDS) if follow else last_lines(directory, lines)
    )
    with until_interrupted():
        for line in shown:
            print(line if as_json else as_text(line), flush=True)


def as_text(line: str) -> str:
    """A line of the host's log for people; as it is where it is none."""
    try:
        said: dict[str, Any] = json.loads(line)
        head = f"{said.pop('time')} {said.pop('level').upper():7} {said.pop('event')}"
        of = said.pop("logger")
    except (ValueError, KeyError, AttributeError):
        return line
    exception = said.pop("exception", None)
    fields = "".join(f" {name}={json.dumps(value)}" for name, value in said.items())
    return f"{head}{fields} ({of})" + (f"\n{exception}" if exception else "")


def _writer(runtime: "Runtime", name: str) -> str:
    identifier = runtime.cluster(name).identifier
    members = runtime.describe_db_instances(db_cluster_identifier=identifier)
    return next(one.db_instance_identifier for one in members if one.is_cluster_writer)


def _lines(runtime: "Runtime", instance: str, lines: int, *, follow: bool) -> Iterator[str]:
    """Of each log file of the instance; of the last one for as long as it is followed."""
    files = runtime.describe_db_log_files(instance)
    for file in files:
        portion = runtime.download_db_log_file_portion(
            instance, file.log_file_name, number_of_lines=lines
        )
        *whole, begun = portion.log_file_data.split("\n")
        yield from whole
        while follow and file is files[-1]:
            if not portion.additional_data_pending:
                time.sleep(EVERY_SECONDS)
            portion = runtime.download_db_log_file_portion(
                instance, file.log_file_name, marker=portion.marker
            )
            *whole, begun = (begun + portion.log_file_data).split("\n")
            yield from whole
        if begun:
            yield begun
