"""The state file of a segment: what it promised, how its log came about, who its peers are.

    borealis segment 2 crc32c 9ab1f0c2
    {"volume": "...", "segment": "a1", "promised": 7, "history": [[1, 23], [7, 4711]], ...}

Format 1, the JSON alone, is read where a volume of that format is opened, and written never. A
history that ends with a cut of readers makes it format 3, in which that cut has a third element,
`true`: an older release would take it for a writer's, and begin there. The segments of a volume
that was cut from another one have format 4: an older release would take one for the other.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cluster_runtime.errors import StorageError
from cluster_runtime.storage.core.metadata import VolumeMetadata
from cluster_runtime.storage.core.quorum import Membership
from cluster_runtime.storage.core.segment import Cut, History, is_sound
from cluster_runtime.storage.core.types import Epoch, Lsn, SegmentId
from cluster_runtime.storage.disk.sealed import FORMAT, SealBrokenError, is_unsealed, seal, unseal

STATE_FILE = "segment.json"
_KIND = "segment"
_FORMAT_OF_READERS = 3
_FORMAT_OF_CUT_VOLUMES = 4


class StateDamagedError(StorageError):
    """A state file is not what was written to it. The segment is lost; its peers are not wrong."""


@dataclass(frozen=True, slots=True)
class SegmentStateFile:
    """metadata: None in format 1, which kept it beside the segments."""

    volume: UUID
    segment: SegmentId
    promised: Epoch
    history: History
    membership: Membership
    floor: Lsn
    metadata: VolumeMetadata | None

    def encode(self) -> bytes:
        """The file's bytes, with their checksum."""
        state = {
            "volume": str(self.volume),
            "segment": self.segment,
            "promised": self.promised,
            "history": [
                (cut.epoch, cut.lsn, True) if cut.of_readers else (cut.epoch, cut.lsn)
                for cut in self.history
            ],
            "membership": self.membership.version,
            "sets": self.membership.sets,
            "floor": self.floor,
            "facts": self.metadata.to_dict() if self.metadata is not None else None,
        }
        return seal(_KIND, json.dumps(state).encode(), self.format)

    @property
    def format(self) -> int:
        """The lowest format in which nothing of it is misread."""
        if self.metadata is not None and self.metadata.own_id:
            return _FORMAT_OF_CUT_VOLUMES
        of_readers = any(cut.of_readers for cut in self.history)
        return _FORMAT_OF_READERS if of_readers else FORMAT

    @classmethod
    def decode(cls, content: bytes, *, accept_format_1: bool) -> "SegmentStateFile":
        """Raises StateDamagedError for anything that was not written as it is.

        accept_format_1: take a state without a checksum too.
        """
        try:
            return _parsed(content, accept_format_1)
        except SealBrokenError as error:
            raise StateDamagedError(str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise StateDamagedError(f"the state cannot be read: {error!r}") from error


@lru_cache(maxsize=16)
def _parsed(content: bytes, accept_format_1: bool) -> SegmentStateFile:
    """An opening reads the same state several times, each time from the disk.

    Those of two volumes are kept: each grows with the failovers that its volume has seen.
    """
    body = content
    if not (accept_format_1 and is_unsealed(content)):
        body = unseal(_KIND, content, _FORMAT_OF_CUT_VOLUMES)
    state = json.loads(body)
    metadata = state.get("facts")
    found = SegmentStateFile(
        UUID(state["volume"]),
        SegmentId(state["segment"]),
        Epoch(int(state["promised"])),
        tuple(_cut(*each) for each in state["history"]),
        Membership(int(state["membership"]), tuple(tuple(each) for each in state["sets"])),
        Lsn(int(state["floor"])),
        VolumeMetadata.from_dict(metadata) if metadata is not None else None,
    )
    if body is not content and content != seal(_KIND, body, found.format):
        # The checksum says nothing of the number before it.
        raise StateDamagedError("its format is not that of what it says")
    if not is_sound(found.promised, found.history):
        raise StateDamagedError(
            f"the history names epoch {found.history[-1].epoch}, the promise only {found.promised}"
        )
    return found


def _cut(epoch: int, lsn: int, of_readers: bool = False) -> Cut:
    return Cut(Epoch(int(epoch)), Lsn(int(lsn)), of_readers is True)
