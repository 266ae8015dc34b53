"""What a document says of a table, in words for a model's prompt."""

from collections.abc import Iterator, Set

from mcp_server.nl2sql.semantics.model import Cube


def told(cube: Cube, metrics: Set[str], default_filter: str) -> str:
    """What is said of a table, but for its description.

    metrics, default_filter: what of them fits the schema.
    """
    return "; ".join(_parts(cube, metrics, default_filter))


def _parts(cube: Cube, metrics: Set[str], default_filter: str) -> Iterator[str]:
    if cube.synonyms:
        yield f"also called {', '.join(cube.synonyms)}"
    if default_filter:
        yield f"unless asked otherwise only rows where {default_filter}"
    if cube.display:
        yield f"rows are shown by {', '.join(cube.display)}"
    for metric in cube.metrics:
        if metric.name in metrics:
            names = ", ".join((metric.name, *metric.synonyms))
            yield f"{names} = {metric.sql}"
    for dimension in cube.dimensions:
        if dimension.synonyms:
            yield f"{dimension.column} is also called {', '.join(dimension.synonyms)}"
        if dimension.legend:
            codes = ", ".join(f"{code} = {meaning}" for code, meaning in dimension.legend.items())
            yield f"{dimension.column}: {codes}"
