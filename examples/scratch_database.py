"""A scratch database for each task: made in milliseconds, thrown away when the task is over.

    python examples/scratch_database.py

Tasks cannot disturb each other: each has a PostgreSQL of its own, not a schema in a shared one.
"""

import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from cluster_runtime import Cluster, Runtime


@contextmanager
def scratch(runtime: Runtime) -> Iterator[Cluster]:
    """A cluster for the time of a `with` block."""
    cluster = runtime.create_db_cluster(f"scratch-{uuid.uuid4().hex[:12]}")
    try:
        yield cluster
    finally:
        runtime.delete_db_cluster(cluster.identifier)


def word_count(runtime: Runtime, text: str) -> list[tuple[str, int]]:
    """A task that wants SQL for a moment: the most frequent words of a text."""
    with scratch(runtime) as cluster, cluster.connect() as connection:
        connection.execute("create table words (word text)")
        with connection.cursor().copy("copy words from stdin") as copy:
            for word in text.lower().split():
                copy.write_row((word,))
        return connection.execute(
            "select word, count(*) from words group by word order by 2 desc, 1 limit 2"
        ).fetchall()


def main(state_dir: str) -> None:
    texts = ["the cat and the hat", "to be or not to be", "row row row your boat"]
    with Runtime.open(state_dir, warm_pool_size=2) as runtime, ThreadPoolExecutor(2) as pool:
        for text, counts in zip(
            texts, pool.map(lambda t: word_count(runtime, t), texts), strict=True
        ):
            print(f"{text!r}: {counts}")
        assert not runtime.describe_db_clusters(), "every task removed what it made"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as state_dir:
        main(state_dir)
