"""Which embeddings a name or a configuration means, and how long their vectors are."""

import difflib
from collections.abc import Sequence
from functools import cache
from typing import Any

from langchain_core.embeddings import Embeddings
from langgraph.store.base.embed import ensure_embeddings

from memory.database.steps import Embed, Plan
from memory.embeddings.cached import DEFAULT_CACHE_BYTES, CachedEmbeddings
from memory.embeddings.hashed import DEFAULT_DIMENSIONS, HashEmbeddings
from memory.embeddings.local import MODELS, LocalEmbeddings
from memory.errors import ConfigurationError
from memory.extras import needed

LOCAL, HASH = "local", "hash"


def init_embeddings(
    model: str = LOCAL, *, cache_bytes: int = DEFAULT_CACHE_BYTES, **options: Any
) -> Embeddings:
    """Embeddings by name, cached: LangChain's names, and those that need no network.

    model: "local" or "local:multilingual-e5-small" (about 100 languages), "local:e5-small-enpt"
        (English and Portuguese, a third of the size), "hash" or "hash:DIMENSIONS" (lexical);
        anything else is a name of `langchain.embeddings.init_embeddings`.
    cache_bytes: what the vectors of texts seen last may take in memory; 0: none are kept.
    options: of LangChain's, such as `provider`.
    What comes back goes wherever LangChain takes `Embeddings`, or LangGraph's stores an `embed`.
    Raises ConfigurationError for an unknown name, MissingExtraError without its packages.
    """
    family, _, variant = model.partition(":")
    if family in (LOCAL, HASH):
        if options:
            raise ConfigurationError(
                f"{model!r} takes no {', '.join(sorted(options))}; those are of LangChain's models"
            )
        return _without_network(family, variant, cache_bytes)
    if not variant and "provider" not in options:
        raise _unknown(model)
    with needed("model", f"the embedding model {model!r}"):
        from langchain.embeddings import init_embeddings as by_langchain

    try:
        made = by_langchain(model, **options)
    except ValueError as error:
        raise _unknown(model, f" ({error})") from error
    return _cached(made, model, cache_bytes)


def _unknown(embed: object, why: str = "") -> ConfigurationError:
    near = difflib.get_close_matches(str(embed), (HASH, LOCAL), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ConfigurationError(
        f"there are no embeddings {embed!r}{why}.{hint} There are 'hash' and 'hash:DIMENSIONS' "
        f"(lexical), 'local' and 'local:MODEL' ({', '.join(MODELS)}), and those of LangChain by "
        "provider and model, such as 'openai:text-embedding-3-small'"
    )


@cache
def _without_network(family: str, variant: str, cache_bytes: int) -> Embeddings:
    """One for all who ask for the same, so that they share what was computed."""
    if family == HASH:
        if variant and not variant.isdecimal():
            raise ConfigurationError(f"hash:{variant} names no number of dimensions")
        # Computed in less time than a cache would be asked.
        return HashEmbeddings(int(variant) if variant else DEFAULT_DIMENSIONS)
    if variant and variant not in MODELS:
        raise ConfigurationError(f"there is no local model {variant!r}: {', '.join(MODELS)}")
    made = LocalEmbeddings(variant) if variant else LocalEmbeddings()
    return _cached(made, f"{family}:{made.model}", cache_bytes)


def _cached(embeddings: Embeddings, model: str, cache_bytes: int) -> Embeddings:
    if not cache_bytes:
        return embeddings
    return CachedEmbeddings(embeddings, model=model, cache_bytes=cache_bytes)


def embeddings_from(embed: Any) -> Embeddings:
    """The `Embeddings` that a configuration names.

    embed: None (hashed), a name as `init_embeddings` takes it, an `Embeddings`, or a function from
        texts to vectors, synchronous or asynchronous.
    Raises ConfigurationError for anything else.
    """
    if embed is None:
        return HashEmbeddings()
    if isinstance(embed, str):
        return init_embeddings(embed)
    if not isinstance(embed, Embeddings) and not callable(embed):
        raise _unknown(embed, ": no name, no Embeddings, and no function from texts to vectors")
    return ensure_embeddings(embed)


def dimensions_of(embeddings: Embeddings, given: int | None) -> int:
    """The length of the vectors: as given, or as the embeddings say."""
    known = getattr(embeddings, "dims", None)
    if given is None and not isinstance(known, int):
        raise ConfigurationError("the index needs `dims`: the length of the embeddings' vectors")
    if given is not None and isinstance(known, int) and given != known:
        raise ConfigurationError(f"dims is {given}, but the embeddings make vectors of {known}")
    return given if given is not None else int(known)  # type: ignore[arg-type]


def probed_dimensions(embeddings: Embeddings, given: int | None) -> Plan[int]:
    """The length of the vectors: as given, as the embeddings say, or of one that they make."""
    if given is None and not isinstance(getattr(embeddings, "dims", None), int):
        return len((yield Embed(embeddings, ["dimensions"], as_queries=True))[0])
    return dimensions_of(embeddings, given)


def check_vectors(vectors: Sequence[Sequence[float]], count: int, dims: int | None) -> None:
    """Raise `ConfigurationError` for vectors that the database would refuse less clearly."""
    if len(vectors) != count:
        raise ConfigurationError(f"the embeddings made {len(vectors)} vectors of {count} texts")
    for vector in vectors:
        if dims is not None and len(vector) != dims:
            raise ConfigurationError(
                f"the embeddings made a vector of {len(vector)} dimensions; the index has {dims}"
            )
