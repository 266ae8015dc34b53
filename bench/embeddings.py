"""Embeddings that need no network: how well they find what people find alike, and how fast.

The set is that of Lee, Pincombe and Welsh, "An Empirical Evaluation of Models of Text Document
Similarity" (CogSci 2005), which gensim ships as test data: 50 news articles, whose 1,225 pairs were
judged by 8 to 12 people each, and 300 articles beside them. Each article is asked for in a store
that holds the 50 and some of the others; what counts is in which order the other 49 come.

    pip download --no-deps gensim        # or have gensim installed
    python bench/embeddings.py [--data gensim-*.whl] [--others 50] [--models hash ...] [--dsn ...]

A local model takes about two minutes on two quiet cores, with `--others 300` five.

nDCG@10: the judged similarities are the gains; a random order gives the figure of the first line.
Correlation: of the cosines with what people said (two people agree to 0.6, by the paper).
"""

import argparse
import importlib.util
import math
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from langchain_core.embeddings import Embeddings
from langgraph.store.base import PutOp
from report import console, show, write_json

sys.path.remove(str(Path(__file__).parent))  # or `memory` would be the bench of that name

from cluster_runtime import ClusterHandle, Runtime
from memory import BorealisStore, CachedEmbeddings, init_embeddings

Source = ClusterHandle | str

FOLDER = "gensim/test/test_data"
MODELS = ("hash", "local:multilingual-e5-small", "local:e5-small-enpt")
CUT = 10
SPACE = ("articles",)
OTHERS = 50
TEXTS = 20
"""Of which the speed is measured."""
NDCG_MIN = {"hash": 0.65, "local:multilingual-e5-small": 0.82}


class Lee:
    """The set. judged: for each article its similarity with each, 0 to 1."""

    def __init__(self, read: Callable[[str], str], others: int) -> None:
        self.articles = read("lee.cor").splitlines()
        self.others = read("lee_background.cor").splitlines()[:others]
        rows = [
            [float(x) for x in line.split()] for line in read("similarities0-1.txt").splitlines()
        ]
        self.judged = [
            [rows[min(i, j)][max(i, j)] for j in range(len(rows))] for i in range(len(rows))
        ]
        if (len(self.articles), len(self.others), len(rows)) != (50, others, 50):
            raise SystemExit("this is not the set of Lee et al. as gensim ships it")

    def ndcg(self, article: int, order: Sequence[int]) -> float:
        """How good an order of the other articles is, from 0 to 1."""
        gains = self.judged[article]
        best = sorted((gains[i] for i in range(len(gains)) if i != article), reverse=True)
        return _dcg([gains[i] for i in order]) / _dcg(best)


def _dcg(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:CUT]))


def reader_of(data: Path | None) -> Callable[[str], str]:
    """Reads files of gensim's test data: of a wheel, a folder, or the package installed here."""
    if data is not None and data.is_file():
        wheel = zipfile.ZipFile(data)
        return lambda name: wheel.read(f"{FOLDER}/{name}").decode("latin-1")
    found = importlib.util.find_spec("gensim") if data is None else None
    if found is not None and found.origin is not None:
        data = Path(found.origin).parent / "test" / "test_data"
    if data is None:
        raise SystemExit("the set is in gensim's wheel: pip download --no-deps gensim; --data FILE")
    folder = data
    return lambda name: (folder / name).read_text(encoding="latin-1")


@contextmanager
def database(dsn: str | None) -> Iterator[Source]:
    if dsn is not None:
        yield dsn
        return
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-"))
    try:
        with Runtime.open(folder, warm_pool_size=0) as runtime:
            yield runtime.create_db_cluster("embeddings")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def correlation(lee: Lee, embeddings: Embeddings) -> float:
    vectors = embeddings.embed_documents(lee.articles)
    pairs = [(i, j) for i in range(50) for j in range(i)]
    cosines = [sum(a * b for a, b in zip(vectors[i], vectors[j], strict=True)) for i, j in pairs]
    return statistics.correlation(cosines, [lee.judged[i][j] for i, j in pairs])


def found(lee: Lee, source: Source, embeddings: Embeddings, *, hybrid: bool) -> float:
    """The mean nDCG of the store's own search."""
    schema = f"embeddings_{uuid.uuid4().hex}"
    index = {"embed": embeddings, "dims": 384, "fields": ["text"], "hybrid": hybrid}
    with BorealisStore(source, schema=schema, index=index, deadline=600) as store:
        store.setup()
        articles = [*lee.articles, *lee.others]
        stored = len(articles)
        store.batch([PutOp(SPACE, str(n), {"text": text}) for n, text in enumerate(articles)])
        scores = []
        for number, text in enumerate(lee.articles):
            hits = [int(hit.key) for hit in store.search(SPACE, query=text, limit=stored)]
            scores.append(lee.ndcg(number, [i for i in hits if i < 50 and i != number]))
    return statistics.mean(scores)


def speed(name: str, texts: list[str]) -> tuple[float, float, float]:
    """Documents and queries a second, and documents that were seen before."""
    embeddings = init_embeddings(name, cache_bytes=0)
    cached = CachedEmbeddings(embeddings, model=name)
    embeddings.embed_documents(texts[:4])
    took = []
    for work in (
        lambda: cached.embed_documents(texts),
        lambda: [embeddings.embed_query(text[:80]) for text in texts],
        lambda: cached.embed_documents(texts),
    ):
        begun = time.perf_counter()
        work()
        took.append(len(texts) / (time.perf_counter() - begun))
    return took[0], took[1], took[2]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--data", type=Path)
    others = range(TEXTS, 301)
    arguments.add_argument("--others", type=int, default=OTHERS, metavar="20-300", choices=others)
    arguments.add_argument("--models", nargs="+", default=MODELS)
    arguments.add_argument("--dsn")
    options = arguments.parse_args()
    lee = Lee(reader_of(options.data), options.others)
    orders = random.Random(1)
    chance = statistics.mean(
        lee.ndcg(i, orders.sample([j for j in range(50) if j != i], 49))
        for i in range(50)
        for _ in range(20)
    )
    rows: list[list[object]] = [["any order", chance, "", "", "", "", ""]]
    figures: dict[str, object] = {"chance": chance}
    with database(options.dsn) as source:
        for name in options.models:
            console.print(f"{name} ...")
            embeddings = init_embeddings(name)
            vectors, words = (
                found(lee, source, embeddings, hybrid=hybrid) for hybrid in (False, True)
            )
            agreed = correlation(lee, embeddings)
            documents, queries, again = speed(name, lee.others[:TEXTS])
            rows.append([name, vectors, words, agreed, documents, queries, again])
            figures[name] = {
                "ndcg_at_10": vectors,
                "ndcg_at_10_hybrid": words,
                "correlation": agreed,
                "documents_per_second": documents,
                "queries_per_second": queries,
                "cached_documents_per_second": again,
            }
            write_json("embeddings", figures)
    columns = (
        "embeddings",
        "nDCG@10",
        "hybrid",
        "correlation",
        "documents/s",
        "queries/s",
        "cached/s",
    )
    title = f"50 of {50 + options.others} news articles, as people judge them"
    show(title, columns, rows)
    console.print(write_json("embeddings", figures))
    for name in NDCG_MIN.keys() & options.models:
        least = NDCG_MIN[name]
        reached = figures[name]["ndcg_at_10"]  # type: ignore[index]
        if reached < least:
            raise SystemExit(f"{name}: nDCG@10 is {reached:.3f}; at least {least} must be reached")


if __name__ == "__main__":
    main()
