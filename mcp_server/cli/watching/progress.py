"""A bar while a cluster is made of a backup."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cluster_runtime.errors import BorealisError
from mcp_server.cli import console

if TYPE_CHECKING:
    from cluster_runtime import Runtime

T = TypeVar("T")
LOOK_EVERY_S = 0.25


def during(runtime: "Runtime", name: str, perform: Callable[[], T]) -> T:
    """Do it, and show how far the cluster of this name is; nothing where nobody watches."""
    if not console.err.is_terminal:
        return perform()
    done = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console.err, transient=True) as bar:
        task = bar.add_task(f"cluster {name}", total=100)

        def watch() -> None:
            while not done.wait(LOOK_EVERY_S):
                try:
                    (facts,) = runtime.describe_db_clusters(name)
                except BorealisError:
                    continue  # it is not there yet
                bar.update(task, completed=facts.percent_progress or 0)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            return perform()
        finally:
            done.set()
            watching.join()
