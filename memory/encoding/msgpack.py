"""Where the elements of a msgpack array end, without decoding them; the heads of some formats.

Source: MessagePack specification, "Formats".
"""

from collections.abc import Sequence

# Bytes that follow the first one, for formats of a fixed size.
FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8}
FIXED |= {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
FIXED |= {0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
FIXED_EXTENSIONS = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}
# Format -> (bytes of the length field, bytes after it that the length does not count).
SIZED = {0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)}
SIZED |= {0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)}
# Format -> (bytes of the count field, items for each).
NESTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def _told_by(head: int) -> tuple[int, int] | None:
    if head <= 0x7F or head >= 0xE0:
        return 0, 0
    if head <= 0x8F:
        return 0, 2 * (head & 0x0F)
    if head <= 0x9F:
        return 0, head & 0x0F
    if head <= 0xBF:
        return head & 0x1F, 0
    return (FIXED[head], 0) if head in FIXED else None


TOLD_BY_FIRST = [_told_by(head) for head in range(256)]
"""For each first byte that says all: the bytes and the items that follow it."""

MOST_ITEMS = 50_000


def array_head(count: int) -> bytes:
    """What comes before the elements of an array."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 1 << 16:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")


def extension_head(code: int, size: int) -> bytes:
    """What comes before the data of an extension value."""
    if size < 1 << 8:
        fixed = FIXED_EXTENSIONS.get(size)
        return bytes((0xC7, size, code) if fixed is None else (fixed, code))
    if size < 1 << 16:
        return bytes((0xC8, size >> 8, size & 0xFF, code))
    return b"\xc9" + size.to_bytes(4, "big") + bytes((code,))


def array_elements(data: bytes) -> tuple[int, Sequence[int]] | None:
    """The start of the first element and the end of each, or None.

    None if the value is not an array, or has so many nested items that looking costs more than
    it saves: a list of messages has one item for each, as a message is an extension value.
    """
    first = data[0]
    if 0x90 <= first <= 0x9F:
        position, count = 1, first & 0x0F
    elif first in (0xDC, 0xDD):
        width = 2 if first == 0xDC else 4
        position, count = 1 + width, int.from_bytes(data[1 : 1 + width], "big")
    else:
        return None
    start = position
    ends: list[int] = []
    budget = MOST_ITEMS
    for _ in range(count):
        if position + 2 < len(data):
            # Messages: extension values of up to 255, or up to 65,535 bytes.
            if data[position] == 0xC8:
                position += 4 + (data[position + 1] << 8) + data[position + 2]
                ends.append(position)
                continue
            if data[position] == 0xC7:
                position += 3 + data[position + 1]
                ends.append(position)
                continue
        pending = 1
        while pending:
            budget -= 1
            if budget < 0 or position >= len(data):
                return None
            pending -= 1
            head = data[position]
            position += 1
            if (told := TOLD_BY_FIRST[head]) is not None:
                position += told[0]
                pending += told[1]
            elif (sized := SIZED.get(head)) is not None:
                width, extra = sized
                position += width + extra + int.from_bytes(data[position : position + width], "big")
            elif (nested := NESTED.get(head)) is not None:
                width, each = nested
                pending += each * int.from_bytes(data[position : position + width], "big")
                position += width
            else:
                return None
        ends.append(position)
    return (start, ends) if position == len(data) else None
