"""Threads between savers and files: what `BorealisSaver` offers of it."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, TypeAlias

import psycopg

from memory.checkpoints.address_key import address_key
from memory.checkpoints.moving.file_format import FrameReader, FrameWriter
from memory.checkpoints.moving.pages import Count, MovedThread, Page
from memory.checkpoints.moving.reader import ThreadReader
from memory.checkpoints.moving.writer import ThreadWriter
from memory.checkpoints.writing import Writing
from memory.database.driver import DriverOwner
from memory.database.scope import Scope
from memory.database.steps import Plan
from memory.encoding.codec import Codec
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError, ThreadTransferError
from memory.extras import DISTRIBUTION

ThreadFile: TypeAlias = str | os.PathLike[str] | BinaryIO
"""A path, or a binary file that is open."""


class Moving(DriverOwner):
    """What moves whole threads; a part of `BorealisSaver`.

    Rows move as they are stored, a bounded page at a time: no value is built, so no class has to
    be allowed, and every checkpoint, write and id comes with them. Expiry does not: the thread
    expires as what the other saver puts. Raises ThreadTransferError, and then nothing is there.
    """

    _scope: Scope
    _codec: Codec
    _ttl: timedelta | None
    _writing: Writing

    def copy_thread_to(
        self, thread_id: str, target: "Moving", *, target_thread_id: str | None = None
    ) -> MovedThread:
        """Copy a thread to another saver's database, schema or tenant, whatever key either has.

        The other one must not have that thread yet.
        """
        self._require_same_serializer(target)
        self._driver.run(self._prepared(str(thread_id)))
        reader = ThreadReader(self._scope, self._codec, str(thread_id))
        arriving = _Arriving(target, thread_id if target_thread_id is None else target_thread_id)
        target._driver.run(arriving.begin())
        try:
            while (page := self._driver.run(reader.page())) is not None:
                target._driver.run(arriving.add(page))
            target._driver.run(arriving.publish())
        except BaseException:
            target._driver.run(arriving.abandon())
            raise
        return arriving.moved()

    async def acopy_thread_to(
        self, thread_id: str, target: "Moving", *, target_thread_id: str | None = None
    ) -> MovedThread:
        """`copy_thread_to`, asynchronously."""
        self._require_same_serializer(target)
        await self._driver.arun(self._prepared(str(thread_id)))
        reader = ThreadReader(self._scope, self._codec, str(thread_id))
        arriving = _Arriving(target, thread_id if target_thread_id is None else target_thread_id)
        await target._driver.arun(arriving.begin())
        try:
            while (page := await self._driver.arun(reader.page())) is not None:
                await target._driver.arun(arriving.add(page))
            await target._driver.arun(arriving.publish())
        except BaseException:
            await target._driver.arun(arriving.abandon())
            raise
        return arriving.moved()

    def export_thread(self, thread_id: str, file: ThreadFile) -> MovedThread:
        """Write a thread to a file that `import_thread` reads, in any database.

        file: a path where nothing is (only its owner may read what is made), or an open file.
        With an `EncryptedSerializer` the file is encrypted by the same key; without, whoever has
        the file has the thread.
        """
        with _to_write(file) as to:
            return self._driver.run(self._export(str(thread_id), to))

    async def aexport_thread(self, thread_id: str, file: ThreadFile) -> MovedThread:
        """`export_thread`, asynchronously."""
        with _to_write(file) as to:
            return await self._driver.arun(self._export(str(thread_id), to))

    def import_thread(self, file: ThreadFile, *, thread_id: str | None = None) -> MovedThread:
        """Make a thread of a file that `export_thread` wrote.

        thread_id: another one than it had. The file may come from anybody: what is damaged or
        altered is refused, and values are read by the same strict rules as all others. One that is
        encrypted needs a saver with its key. Raises ConfigurationError for a saver with another
        serializer than `BorealisSerializer`: of others nobody knows what a file can have them run.
        """
        self._require_strict()
        with _to_read(file) as of, _as_refused():
            frames = FrameReader(self._codec, of.read)
            found = frames.begin()
            arriving = _Arriving(self, found if thread_id is None else thread_id)
            self._driver.run(arriving.begin())
            try:
                while (page := frames.page()) is not None:
                    self._driver.run(arriving.add(page))
                self._driver.run(arriving.publish())
            except BaseException:
                self._driver.run(arriving.abandon())
                raise
        return arriving.moved()

    async def aimport_thread(
        self, file: ThreadFile, *, thread_id: str | None = None
    ) -> MovedThread:
        """`import_thread`, asynchronously."""
        self._require_strict()
        with _to_read(file) as of, _as_refused():
            frames = FrameReader(self._codec, of.read)
            found = await asyncio.to_thread(frames.begin)
            arriving = _Arriving(self, found if thread_id is None else thread_id)
            await self._driver.arun(arriving.begin())
            try:
                while (page := await asyncio.to_thread(frames.page)) is not None:
                    await self._driver.arun(arriving.add(page))
                await self._driver.arun(arriving.publish())
            except BaseException:
                await self._driver.arun(arriving.abandon())
                raise
        return arriving.moved()

    def _ready(self) -> Plan[None]:
        """With encryption: learn the secret that addresses are keyed with, once."""
        if self._codec.cipher is not None and not self._codec.address_key:
            self._codec.address_key = yield from address_key(self._scope, self._codec)

    def _prepared(self, thread_id: str) -> Plan[None]:
        """What was put before is there, for whoever reads a thread as a whole."""
        yield from self._ready()
        yield from self._writing.settled(thread_id)

    def _require_same_serializer(self, target: "Moving") -> None:
        ours, theirs = type(self._codec.serde), type(target._codec.serde)
        if ours is not theirs:
            raise ConfigurationError(
                f"one saver has a {ours.__name__}, the other a {theirs.__name__}: bytes are copied "
                "as they are, so both need the same serializer"
            )

    def _require_strict(self) -> None:
        serde = self._codec.serde
        if not isinstance(serde, BorealisSerializer):
            raise ConfigurationError(
                f"this saver reads values by a {type(serde).__name__}, which may run code that a "
                "file names; import it with a BorealisSerializer, which is the default"
            )

    def _export(self, thread_id: str, file: BinaryIO) -> Plan[MovedThread]:
        yield from self._prepared(thread_id)
        reader, count = ThreadReader(self._scope, self._codec, thread_id), Count()
        frames = FrameWriter(self._codec, file.write)
        frames.begin(thread_id, DISTRIBUTION)
        while (page := (yield from reader.page())) is not None:
            frames.page(page)
            count.add(page)
        frames.end()
        return count.of(thread_id)


class _Arriving:
    """A thread on its way into a saver's database."""

    def __init__(self, target: Moving, thread_id: str) -> None:
        self._target, self._thread_id, self._count = target, str(thread_id), Count()
        self._writer = ThreadWriter(target._scope, target._codec, self._thread_id, target._ttl)
        self.publish, self.abandon = self._writer.publish, self._writer.abandon

    def begin(self) -> Plan[None]:
        """Make room for it."""
        yield from self._target._prepared(self._thread_id)
        yield from self._writer.begin()

    def add(self, page: Page) -> Plan[None]:
        """Write a page of it."""
        yield from self._writer.add(page)
        self._count.add(page)

    def moved(self) -> MovedThread:
        """What arrived."""
        return self._count.of(self._thread_id)


@contextmanager
def _as_refused() -> Iterator[None]:
    """What the database refuses of a file is the file's fault."""
    try:
        yield
    except psycopg.DataError as error:
        raise ThreadTransferError(
            f"the file is damaged, or was altered: the database refused a row ({error.sqlstate})"
        ) from error


@contextmanager
def _to_write(file: ThreadFile) -> Iterator[BinaryIO]:
    if not isinstance(file, (str, os.PathLike)):
        yield file
        return
    path = Path(file)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ThreadTransferError(f"there is a file {path} already; choose another one") from error
    try:
        with os.fdopen(descriptor, "wb") as made:
            yield made
            made.flush()
            os.fsync(made.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _to_read(file: ThreadFile) -> Iterator[BinaryIO]:
    if not isinstance(file, (str, os.PathLike)):
        yield file
        return
    path = Path(file)
    if not path.is_file():
        raise ThreadTransferError(f"there is no file {path}")
    with path.open("rb") as opened:
        yield opened
