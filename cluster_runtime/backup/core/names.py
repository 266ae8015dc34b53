"""Names of the objects of a cluster's backup, which say what a restore or a collection asks.

    clusters/<resource id>/key                                        the wrapped data key
    clusters/<resource id>/facts                                      what the cluster is
    clusters/<resource id>/0001/log/<start>-<end>-<first>-<last>      a piece of the log
    clusters/<resource id>/0001/images/<redo>-<lsn>-<complete at>     the manifest of a page image
    clusters/<resource id>/0001/packs/<id>                            content of page images
    clusters/<resource id>/snapshots/<identifier>                     a snapshot

LSNs are hexadecimal, times are milliseconds since 1970. `0001` is an *era*: log without a gap. A
list of names alone says what can be restored, so nothing has to be kept up to date beside them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

CLUSTERS = "clusters"
CONTENT_MAX_BYTES = 64 << 20
"""Of a pack or a piece of the log, which are written with a quarter of that."""
TEXT_MAX_BYTES, TEXT_MAX_RATIO = 1 << 31, 64
"""Of all else, which is text: in all, and for each byte that is kept, beyond a mebibyte."""
KEY, FACTS, SNAPSHOTS = "key", "facts", "snapshots"
_SNAPSHOT = re.compile(r"[a-z][a-z0-9-]*")
_ERA = re.compile(r"(\d{4,})/(log|images|packs)/([0-9a-f-]+)")


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """Log from `start` to `end`.

    first, last: times at which everything committed until then was known to be in the log up to
    `start`, and up to `end`.
    """

    start: int
    end: int
    first: int
    last: int

    @property
    def bytes(self) -> int:
        """How much log it holds."""
        return self.end - self.start

    @property
    def name(self) -> str:
        """Within the log of its era."""
        return f"{self.start:016x}-{self.end:016x}-{self.first:013d}-{self.last:013d}"


@dataclass(frozen=True, slots=True, order=True)
class Image:
    """A page image: replay begins at `redo`.

    lsn, complete_at: its pages hold nothing that was committed behind that LSN, or after that time.
    """

    redo: int
    lsn: int
    complete_at: int

    @property
    def name(self) -> str:
        """Within the images of its era."""
        return f"{self.redo:016x}-{self.lsn:016x}-{self.complete_at:013d}"


@dataclass(frozen=True, slots=True)
class Era:
    """What is kept of one stretch of log without a gap."""

    number: int
    images: tuple[Image, ...] = ()
    pieces: tuple[Piece, ...] = ()
    packs: frozenset[str] = field(default=frozenset())

    @property
    def end(self) -> int:
        """Where its log ends; zero where it has none."""
        return max((piece.end for piece in self.pieces), default=0)

    @property
    def last(self) -> int:
        """When its log is known to be complete up to; zero where it has none."""
        return max((piece.last for piece in self.pieces), default=0)


@dataclass(frozen=True, slots=True)
class Holdings:
    """All that is kept for one cluster."""

    eras: tuple[Era, ...] = ()
    snapshots: tuple[str, ...] = ()

    def era(self, number: int) -> Era:
        """An era; an empty one where nothing is kept of it."""
        return next((each for each in self.eras if each.number == number), Era(number))


def era_folder(number: int) -> str:
    """The folder of an era, within its cluster's."""
    return f"{number:04d}"


def piece_name(era: int, piece: Piece) -> str:
    """The object of a piece of log, within its cluster's folder."""
    return f"{era_folder(era)}/log/{piece.name}"


def image_name(era: int, image: Image) -> str:
    """The object of an image's manifest, within its cluster's folder."""
    return f"{era_folder(era)}/images/{image.name}"


def pack_name(era: int, pack: str) -> str:
    """The object of a pack, within its cluster's folder."""
    return f"{era_folder(era)}/packs/{pack}"


def snapshot_name(identifier: str) -> str:
    """The object of a snapshot, within its cluster's folder."""
    return f"{SNAPSHOTS}/{identifier}"


def is_ours(name: str) -> bool:
    """Whether a name is one that these rules make: others are written for nobody."""
    folder, _, rest = name.partition("/")
    known = name in (KEY, FACTS) or _ERA.fullmatch(name) is not None
    return known or (folder == SNAPSHOTS and _SNAPSHOT.fullmatch(rest) is not None)


def content_max_bytes(name: str, kept_bytes: int) -> int:
    """The most that an object may hold: a small file must not fill the memory of who opens it."""
    found = _ERA.fullmatch(name)
    if found is not None and found[2] != "images":
        return CONTENT_MAX_BYTES
    return min(TEXT_MAX_BYTES, (1 << 20) + TEXT_MAX_RATIO * kept_bytes)


def is_inside(path: str) -> bool:
    """Whether a path of a manifest stays in the folder that it is relative to."""
    return path == "." or (
        not path.startswith("/") and all(part not in ("", ".", "..") for part in path.split("/"))
    )


def holdings(names: Iterable[str]) -> Holdings:
    """What names within a cluster's folder say. Names that are none of ours are passed over."""
    images: dict[int, list[Image]] = {}
    pieces: dict[int, list[Piece]] = {}
    packs: dict[int, set[str]] = {}
    snapshots = []
    for name in names:
        folder, _, rest = name.partition("/")
        if folder == SNAPSHOTS and rest:
            snapshots.append(rest)
            continue
        found = _ERA.fullmatch(name)
        if found is None:
            continue
        number, kind, text = int(found[1]), found[2], found[3]
        if kind == "packs":
            packs.setdefault(number, set()).add(text)
            continue
        parts = text.split("-")
        try:
            if kind == "log":
                start, end, first, last = parts
                piece = Piece(int(start, 16), int(end, 16), int(first), int(last))
                pieces.setdefault(number, []).append(piece)
            else:
                redo, lsn, complete_at = parts
                image = Image(int(redo, 16), int(lsn, 16), int(complete_at))
                images.setdefault(number, []).append(image)
        except ValueError:
            continue
    numbers = sorted(images.keys() | pieces.keys() | packs.keys())
    return Holdings(
        tuple(
            Era(
                number,
                tuple(sorted(images.get(number, ()))),
                tuple(sorted(pieces.get(number, ()))),
                frozenset(packs.get(number, ())),
            )
            for number in numbers
        ),
        tuple(sorted(snapshots)),
    )
