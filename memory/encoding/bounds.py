"""How much a packed value of somebody else's may ask for, told before anything of it is built.

A byte of msgpack may stand for an empty dict, which takes 64: a megabyte that was compressed to
nothing would fill a machine.
"""

from memory.encoding.msgpack import FIXED, NESTED, SIZED, TOLD_BY_FIRST
from memory.encoding.shapes import EXT_BIG_INTEGER, EXT_SURROGATES
from memory.errors import CorruptedCheckpointError

DEEPEST = 64
"""Extensions in extensions; each level copies what it holds."""
_NOT_PACKED = frozenset({EXT_SURROGATES, EXT_BIG_INTEGER})
_FIXED_EXTENSIONS = range(0xD4, 0xD9)
_EXTENSIONS = range(0xC7, 0xCA)


def require_bounded(data: bytes, most: int, deepest: int = DEEPEST) -> None:
    """Raise CorruptedCheckpointError unless this is one value of `most` values at most.

    What is inside of extensions counts. Takes time for each value, up to `most` of them.
    """
    position, end, pending = 0, len(data), 1
    outer: list[tuple[int, int]] = []  # of the extensions that we are in: end, pending
    left = most
    while True:
        if not pending:
            if position != end:
                raise CorruptedCheckpointError("a packed value is longer than it says")
            if not outer:
                return
            end, pending = outer.pop()
            continue
        left -= 1
        if left < 0:
            raise CorruptedCheckpointError(f"a packed value holds more than {most:,} values")
        if position >= end:
            raise CorruptedCheckpointError("a packed value is cut off")
        pending -= 1
        head = data[position]
        position += 1
        if head in _FIXED_EXTENSIONS or head in _EXTENSIONS:
            length = FIXED.get(head, 0) - 1
            if head in _EXTENSIONS:
                width, _ = SIZED[head]
                length = int.from_bytes(data[position : position + width], "big")
                position += width
            if position + 1 + length > end:
                raise CorruptedCheckpointError("a packed value is cut off")
            code, position = data[position], position + 1
            if code in _NOT_PACKED:
                position += length
                continue
            if len(outer) == deepest:
                raise CorruptedCheckpointError(f"a packed value is nested over {deepest} deep")
            outer.append((end, pending))
            end, pending = position + length, 1
        elif (told := TOLD_BY_FIRST[head]) is not None:
            position += told[0]
            pending += told[1]
        elif (sized := SIZED.get(head)) is not None:
            width, _ = sized
            position += width + int.from_bytes(data[position : position + width], "big")
        elif (nested := NESTED.get(head)) is not None:
            width, each = nested
            pending += each * int.from_bytes(data[position : position + width], "big")
            position += width
        else:
            raise CorruptedCheckpointError("a packed value is of no known format")
