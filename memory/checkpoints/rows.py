"""Checkpoints as rows: what is sent, what comes back, and the statements between.

A checkpoint's row holds everything small, sealed in its `head`: the checkpoint without its values,
and for each channel the recipe of its value. A channel that a step did not change takes over its
parent's recipe, so it costs a few bytes however large its value is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    EXCLUDED_METADATA_KEYS,
    WRITES_IDX_MAP,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    writes_sort_key,
)
from langgraph.checkpoint.serde.types import ERROR

from memory.encoding.codec import ADDRESS_BYTES, Address, Codec, Recipe
from memory.encoding.ids import original, pack_id, storable, unpack_id
from memory.encoding.jsonsafe import to_jsonb
from memory.encoding.locating import placed
from memory.encoding.unreadable import Unreadable
from memory.errors import (
    AgentMemoryError,
    ConfigurationError,
    CorruptedCheckpointError,
    NotSerializableError,
    TypeNotAllowedError,
    TypeNotFoundError,
)

Recipes = dict[str, Recipe]

# The id is a column; the values are recipes; a recipe's version is among the channel versions.
NOT_IN_HEAD = frozenset({"id", "channel_values"})


@dataclass(frozen=True, slots=True)
class Key:
    """One checkpoint, or with `checkpoint_id` None the latest one of its thread and namespace."""

    thread_id: str
    ns: str
    checkpoint_id: str | None

    def stored(self) -> tuple[str, str, bytes | None]:
        """The same as PostgreSQL can store it."""
        checkpoint = None if self.checkpoint_id is None else pack_id(self.checkpoint_id)
        return storable(self.thread_id), storable(self.ns), checkpoint

    def config(self) -> RunnableConfig:
        """The configuration that names this checkpoint to LangGraph."""
        return {
            "configurable": {
                "thread_id": self.thread_id,
                "checkpoint_ns": self.ns,
                "checkpoint_id": self.checkpoint_id,
            }
        }


def key_of(config: RunnableConfig) -> Key:
    """The checkpoint that a config names; raises `ConfigurationError` without a thread_id."""
    configurable = config.get("configurable") or {}
    if configurable.get("thread_id") is None:
        raise ConfigurationError(
            'the config names no thread; pass {"configurable": {"thread_id": "..."}}'
        )
    checkpoint_id = configurable.get("checkpoint_id")
    return Key(
        str(configurable["thread_id"]),
        str(configurable.get("checkpoint_ns") or ""),
        str(checkpoint_id) if checkpoint_id else None,
    )


def metadata_of(config: RunnableConfig, metadata: CheckpointMetadata) -> dict[str, Any]:
    """The metadata to store: what was passed, and the plain values of the run's config.

    The rule of langgraph's `get_checkpoint_metadata`, without its removal of NUL characters.
    """
    merged: dict[str, Any] = dict(metadata)
    for source in (config.get("metadata"), config.get("configurable")):
        for key, value in (source or {}).items():
            if key in merged or key in EXCLUDED_METADATA_KEYS or key.startswith("__"):
                continue
            if isinstance(value, (str, int, float)):
                merged[key] = value
    return merged


# -- rows to write


@dataclass(slots=True)
class CheckpointRow:
    """One checkpoint ready to be sent, and the chunks that it adds.

    metadata: JSON text of what filters can see; exact: whether that is all of it.
    """

    key: Key
    parent_id: str | None
    run_id: str | None
    metadata: str
    exact: bool
    head: bytes
    recipes: Recipes
    chunks: dict[Address, bytes] = field(default_factory=dict)

    def addresses(self) -> list[Address]:
        """The addresses of all pieces, in their order."""
        return [a for recipe in self.recipes.values() for a in recipe.addresses]


def inherit(
    checkpoint: Checkpoint, changed: Mapping[str, Any], parent: Recipes | None
) -> tuple[Recipes, list[str]]:
    """Which recipes the parent lends, and which channels must be encoded again.

    A channel is unchanged if its version is the parent's and the step did not name it as new; a
    channel without a value takes the parent's recipe under the same rule (that is how LangGraph
    stores a DeltaChannel between two snapshots).
    """
    values, versions = checkpoint["channel_values"], checkpoint["channel_versions"]
    inherited: Recipes = {}
    for channel, version in versions.items():
        recipe = parent.get(channel) if parent else None
        if recipe is not None and channel not in changed and recipe.version == version:
            inherited[channel] = recipe
    return inherited, [channel for channel in values if channel not in inherited]


def build_row(
    codec: Codec,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: Mapping[str, Any],
    parent: Recipes | None,
) -> CheckpointRow:
    """Encode a checkpoint; chunks that the parent has are taken as stored."""
    key = key_of(config)
    inherited, to_encode = inherit(checkpoint, new_versions, parent)
    stored = {a for recipe in (parent or {}).values() for a in recipe.addresses}
    recipes, chunks = dict[str, Recipe](), dict[Address, bytes]()
    pieces = {channel: codec.settle(recipe) for channel, recipe in inherited.items()}
    for channel in to_encode:
        version = checkpoint["channel_versions"].get(channel, 0)
        value = checkpoint["channel_values"][channel]
        try:
            pieces[channel] = codec.encode(version, value)
        except (NotSerializableError, TypeNotAllowedError) as error:
            raise placed(error, f"channel {channel!r}", codec.serde.dumps_typed, value) from error
    for channel, encoded in pieces.items():
        recipes[channel] = encoded.recipe
        for address, piece in encoded.chunks.items():
            if address not in stored and address not in chunks:
                chunks[address] = codec.seal_chunk(piece, address)
    merged = metadata_of(config, metadata)
    visible, exact = to_jsonb(merged if codec.cipher is None else unencrypted(merged))
    exact = exact and codec.cipher is None
    rest = {name: value for name, value in checkpoint.items() if name not in NOT_IN_HEAD}
    head = codec.seal(
        [
            codec.serde.dumps_typed(rest),
            None if exact else codec.serde.dumps_typed(merged),
            [
                [storable(channel), r.kind, r.prefix, len(r.addresses), r.tail]
                for channel, r in recipes.items()
            ],
        ]
    )
    run_id = merged.get("run_id")
    return CheckpointRow(
        key=Key(key.thread_id, key.ns, checkpoint["id"]),
        parent_id=key.checkpoint_id,
        run_id=run_id if isinstance(run_id, str) else None,
        metadata=visible,
        exact=exact,
        head=head,
        recipes=recipes,
        chunks=chunks,
    )


def unencrypted(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What stays readable of encrypted metadata, as filters and deletion need it."""
    return {name: metadata[name] for name in ("source", "step", "run_id") if name in metadata}


def indexed(writes: Sequence[tuple[str, Any]]) -> dict[int, tuple[str, Any]]:
    """Writes by index: their position, or the fixed index of a special channel (last one wins)."""
    return {
        WRITES_IDX_MAP.get(channel, position): (channel, value)
        for position, (channel, value) in enumerate(writes)
    }


@dataclass(frozen=True, slots=True)
class TaskWrites:
    """A task's writes on a checkpoint, ready to be sent: sealed, by index."""

    key: Key
    task_id: str
    frames: dict[int, bytes]


def build_writes(
    codec: Codec, key: Key, writes: Mapping[int, tuple[str, Any]], task_id: str, task_path: str
) -> TaskWrites:
    """Encode a task's writes."""
    frames = {}
    for index, (channel, value) in writes.items():
        try:
            kind, data = codec.serde.dumps_typed(value)
        except (NotSerializableError, TypeNotAllowedError) as error:
            if channel != ERROR:
                what = f"channel {channel!r}"
                raise placed(error, what, codec.serde.dumps_typed, value) from error
            # How a task failed: LangGraph shows it, and rebuilds nothing from it.
            kind, data = codec.serde.dumps_typed(repr(value))
        frames[index] = codec.seal([storable(channel), kind, data, storable(task_path)])
    return TaskWrites(key, task_id, frames)


# -- rows to read


@dataclass(frozen=True, slots=True)
class Head:
    """A row's head, opened: everything but the bytes of its chunks."""

    checkpoint: dict[str, Any]
    metadata: dict[str, Any]
    recipes: Recipes

    def addresses(self) -> Iterable[Address]:
        """The addresses of all pieces."""
        return (a for recipe in self.recipes.values() for a in recipe.addresses)


def open_head(codec: Codec, frame: bytes, refs: bytes, metadata: Any) -> Head:
    """Read a head; raises `CorruptedCheckpointError` if it is not one."""
    return read_head(codec, codec.open(frame), refs, metadata)


def read_head(codec: Codec, opened: Any, refs: bytes, metadata: Any) -> Head:
    """Read what a head's row seals; raises `CorruptedCheckpointError` if it is no head."""
    try:
        (kind, data), own_metadata, entries = opened
        recipes: Recipes = {}
        position = 0
        checkpoint = codec.serde.loads_typed((kind, data))
        versions = checkpoint["channel_versions"]
        for name, value_kind, prefix, count, tail in entries:
            channel = original(name)
            end = position + count * ADDRESS_BYTES
            if end > len(refs):
                raise CorruptedCheckpointError("a checkpoint's list of chunks is truncated")
            addresses = tuple(
                Address(refs[at : at + ADDRESS_BYTES]) for at in range(position, end, ADDRESS_BYTES)
            )
            version = versions.get(channel, 0)
            recipes[channel] = Recipe(version, value_kind, prefix, addresses, tail)
            position = end
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise CorruptedCheckpointError(f"a checkpoint's head cannot be read: {error}") from error
    if own_metadata is not None:
        metadata = codec.serde.loads_typed((own_metadata[0], own_metadata[1]))
    return Head(checkpoint, metadata, recipes)


def open_writes(
    codec: Codec, tasks: Sequence[bytes], indexes: Sequence[int], frames: Sequence[bytes]
) -> list[PendingWrite]:
    """Pending writes in the order in which live execution applied them."""
    rows = []
    for task, index, frame in zip(tasks, indexes, frames, strict=True):
        channel, kind, data, path = codec.open(frame)
        task_id = unpack_id(task)
        try:
            value = codec.serde.loads_typed((kind, data))
        except AgentMemoryError as error:
            raise _read_error(error, f"a pending write to channel {original(channel)!r}") from error
        rows.append(
            (
                writes_sort_key(original(path), task_id, index),
                (task_id, original(channel), value),
            )
        )
    rows.sort(key=lambda row: row[0])
    return [write for _, write in rows]


def assemble(
    codec: Codec,
    key: Key,
    parent_id: bytes | None,
    head: Head,
    chunks: Mapping[Address, bytes],
    writes: list[PendingWrite],
    *,
    unreadable: bool = False,
) -> CheckpointTuple:
    """The tuple that LangGraph gets. unreadable: show what cannot be read as `Unreadable`."""
    values = {}
    for channel, recipe in head.recipes.items():
        try:
            values[channel] = codec.decode(recipe, chunks)
        except AgentMemoryError as error:
            if unreadable:
                values[channel] = Unreadable("", None, str(error))
                continue
            what = (
                f"channel {channel!r} of checkpoint {key.checkpoint_id}, thread {key.thread_id!r}"
            )
            raise _read_error(error, what) from error
    parent = None if parent_id is None else Key(key.thread_id, key.ns, unpack_id(parent_id))
    return CheckpointTuple(
        config=key.config(),
        checkpoint=cast(
            Checkpoint,
            {**head.checkpoint, "id": key.checkpoint_id, "channel_values": values},
        ),
        metadata=cast(CheckpointMetadata, head.metadata),
        parent_config=None if parent is None else parent.config(),
        pending_writes=writes,
    )


def _read_error(error: AgentMemoryError, what: str) -> AgentMemoryError:
    """The same error, which says of what."""
    said = f"{what}: {error}"
    if isinstance(error, TypeNotAllowedError):
        return TypeNotAllowedError(said, refused=error.refused)
    found = isinstance(error, TypeNotFoundError)
    return TypeNotFoundError(said) if found else CorruptedCheckpointError(said)


def open_chunks(
    codec: Codec, addresses: Sequence[Address], frames: Sequence[bytes | None]
) -> dict[Address, bytes]:
    """Plain chunks by address, each checked."""
    return {
        address: codec.open_chunk(address, frame)
        for address, frame in zip(addresses, frames, strict=True)
    }
