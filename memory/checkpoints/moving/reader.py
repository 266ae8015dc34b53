"""Reading a whole thread, page by page: no connection, and no more than a page, is held between."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, LiteralString

from memory.checkpoints.moving.pages import CheckpointRow, ChunkRow, Page, WriteRow
from memory.checkpoints.reading import split
from memory.database.scope import Scope
from memory.database.steps import FetchOne, Plan, Row, Steps, attempt, fetch_all
from memory.encoding.codec import Address, Codec
from memory.encoding.ids import storable
from memory.errors import ThreadTransferError

CHECKPOINTS_A_PAGE = 100
ROWS_A_PAGE = 500
BYTES_A_PAGE = 8 << 20
"""Of values; a page has one row at least, however large that is."""

THREAD: LiteralString = "select {thread}"
HEADS: LiteralString = """
    select ns, checkpoint_id, parent_id, run_id, metadata::text, exact, head, refs
    from {schema}.memory_checkpoints
    where thread_key = %s and (ns, checkpoint_id) > (%s, %b)
    order by ns, checkpoint_id limit %s"""
CHUNKS: LiteralString = """select address, data from (
        select address, data,
               sum(octet_length(data)) over (order by address) - octet_length(data) as before
        from (select address, data from {schema}.memory_chunks
              where thread_key = %s and address = any(%b::bytea[]) and address > %b
              order by address limit %s) n
    ) n where before < %s order by address"""
WRITES: LiteralString = """select ns, checkpoint_id, task_id, idx, data from (
        select n.*, sum(octet_length(data)) over (order by ns, checkpoint_id, task_id, idx)
                    - octet_length(data) as before
        from (select ns, checkpoint_id, task_id, idx, data from {schema}.memory_writes
              where thread_key = %s and (ns, checkpoint_id, task_id, idx) > (%s, %b, %b, %s)
              order by ns, checkpoint_id, task_id, idx limit %s) n
    ) n where before < %s order by ns, checkpoint_id, task_id, idx"""
LOWEST_INDEX = -(2**31)


class ThreadReader:
    """The pages of a thread, each a plan: parents before children, chunks before checkpoints.

    A thread that is written to meanwhile comes with all that it had at the beginning. Raises
    ThreadTransferError for one that is not there, or is deleted or pruned meanwhile.
    """

    def __init__(self, scope: Scope, codec: Codec, thread_id: str) -> None:
        self._scope, self._codec, self._thread_id = scope, codec, thread_id
        self._key: int | None = None
        self._next: deque[Callable[[], Plan[Page | None]]] = deque([self._begin])
        self._sent: set[Address] = set()

    def page(self) -> Plan[Page | None]:
        """The next page; None after the last one."""
        while self._next:
            page = yield from self._next.popleft()()
            if page:
                return page
        return None

    def _begin(self) -> Plan[None]:
        self._key = yield from self._found()
        if self._key is None:
            raise ThreadTransferError(f"there is no thread {self._thread_id!r}")
        self._next.append(partial(self._heads, "", b""))

    def _found(self) -> Plan[int | None]:
        def steps() -> Steps[int | None]:
            parameters = (self._scope.tenant, storable(self._thread_id))
            row = yield FetchOne(self._scope.render(THREAD), parameters)
            return row[0]  # type: ignore[no-any-return]

        return (yield from attempt(steps))

    def _heads(self, ns: str, after: bytes) -> Plan[None]:
        """Checkpoints: their chunks go first."""
        rows = yield from self._rows(HEADS, self._key, ns, after, CHECKPOINTS_A_PAGE)
        if not rows:
            self._next.append(partial(self._writes, ("", b"", b"", LOWEST_INDEX)))
            return
        wanted = {address for row in rows for address in split(row[7])} - self._sent
        page = [
            CheckpointRow(
                ns, checkpoint, parent, run, metadata, exact, self._codec.open(head), refs
            )
            for ns, checkpoint, parent, run, metadata, exact, head, refs in rows
        ]
        self._next.append(partial(self._chunks, sorted(wanted), Address(b"")))
        self._next.append(partial(_as_it_is, page))
        self._next.append(partial(self._heads, rows[-1][0], rows[-1][1]))

    def _chunks(self, wanted: list[Address], after: Address) -> Plan[Page | None]:
        if not wanted:
            return None
        some = wanted[:ROWS_A_PAGE]
        rows = yield from self._rows(CHUNKS, self._key, some, after, ROWS_A_PAGE, BYTES_A_PAGE)
        found = [Address(address) for address, _ in rows]
        if found != wanted[: len(found)] or not found:
            raise self._changed()
        self._sent.update(found)
        self._next.appendleft(partial(self._chunks, wanted[len(found) :], found[-1]))
        return [
            ChunkRow(address, self._codec.open_chunk(address, data))
            for address, (_, data) in zip(found, rows, strict=True)
        ]

    def _writes(self, after: tuple[str, bytes, bytes, int]) -> Plan[Page | None]:
        rows = yield from self._rows(WRITES, self._key, *after, ROWS_A_PAGE, BYTES_A_PAGE)
        if not rows:
            if (yield from self._found()) != self._key:
                raise self._changed()
            return None
        self._next.append(partial(self._writes, rows[-1][:4]))
        return [
            WriteRow(ns, checkpoint, task, index, self._codec.open(data))
            for ns, checkpoint, task, index, data in rows
        ]

    def _rows(self, statement: LiteralString, *parameters: Any) -> Plan[list[Row]]:
        rendered = self._scope.render(statement)
        return (yield from attempt(partial(fetch_all, rendered, parameters)))

    def _changed(self) -> ThreadTransferError:
        return ThreadTransferError(
            f"thread {self._thread_id!r} was deleted or pruned while it was read; try again"
        )


def _as_it_is(page: Page) -> Plan[Page]:
    yield from ()
    return page
