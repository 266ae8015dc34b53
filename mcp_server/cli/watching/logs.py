"""The command `logs`: lines of a server's log, and those that come."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
