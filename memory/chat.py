"""`BorealisChatMessageHistory`: a session's messages in PostgreSQL."""

import uuid
from collections.abc import Awaitable, Sequence
from typing import Any, LiteralString, Self, Unpack

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde.base import SerializerProtocol

from memory.database.arrays import ByteaArray
from memory.database.connections import ConnectionSource, PoolOptions
from memory.database.driver import DEFAULT_DEADLINE_SECONDS, Driver, DriverOwner
from memory.database.schema import DEFAULT_SCHEMA, Component
from memory.database.scope import Scope
from memory.database.setup import setup_plan
from memory.database.steps import FetchAll, Plan, Steps, attempt
from memory.encoding.codec import Codec
from memory.encoding.ids import storable
from memory.encoding.serde import BorealisSerializer
from memory.errors import ConfigurationError

MESSAGES: LiteralString = """
create table {schema}.memory_messages (
    message_key bigint generated always as identity primary key,
    tenant text not null default coalesce(current_setting('borealis.tenant', true), ''),
    session_id text collate "C" not null,
    -- Made by the client, so that a retried insert is the same row.
    message_id uuid not null,
    data bytea not null,
    created_at timestamptz not null default now(),
    unique (tenant, session_id, message_id)
);
create index memory_messages_session
    on {schema}.memory_messages (tenant, session_id, message_key);
alter table {schema}.memory_messages enable row level security;
create policy memory_tenant on {schema}.memory_messages
    using (tenant = coalesce(current_setting('borealis.tenant', true), ''));
"""

MESSAGES_COMPONENT = Component("messages", (MESSAGES,))

ADD: LiteralString = (
    "insert into {schema}.memory_messages (tenant, session_id, message_id, data)"
    " select %s, %s, n.id, n.data from unnest(%s::uuid[], %b::bytea[])"
    " with ordinality as n (id, data, position) order by n.position"
    " on conflict do nothing returning 1"
)
READ: LiteralString = (
    "select data from {schema}.memory_messages where tenant = %s and session_id = %s"
    " order by message_key desc limit %s"
)
CLEAR: LiteralString = (
    "delete from {schema}.memory_messages where tenant = %s and session_id = %s returning 1"
)


class BorealisChatMessageHistory(DriverOwner, BaseChatMessageHistory):
    """A LangChain message history. Call `setup()` once for each database.

    source: a cluster (anything with `dsn()`), a DSN, or a psycopg pool or autocommit connection.
    session_id: any string.
    limit: `messages` are the latest so many; None is all.
    serde: a LangGraph serializer; with an `EncryptedSerializer` messages are encrypted at rest.
    schema, tenant, deadline, pool: as in `BorealisSaver`.
    """

    def __init__(
        self,
        source: ConnectionSource,
        session_id: str,
        *,
        limit: int | None = None,
        schema: str = DEFAULT_SCHEMA,
        tenant: str = "",
        deadline: float = DEFAULT_DEADLINE_SECONDS,
        serde: SerializerProtocol | None = None,
        **pool: Unpack[PoolOptions],
    ) -> None:
        if limit is not None and limit < 0:
            raise ConfigurationError(f"limit is {limit}; it must not be negative")
        self._driver = Driver(source, tenant=tenant, deadline=deadline, owner=type(self), **pool)
        self._scope = Scope(schema, tenant)
        self._codec = Codec(serde if serde is not None else BorealisSerializer())
        self.session_id = session_id
        self.limit = limit

    @classmethod
    def from_conn_string(cls, conn_string: str, session_id: str, **options: Any) -> Self:
        """To be used with `with` or `async with`. options: of the constructor."""
        return cls(conn_string, session_id, **options)

    def setup(self) -> Awaitable[None]:
        """Create the table or bring it up to date; safe from many processes at once.

        The work is done when it returns; `await history.setup()` is fine too.
        """
        return self._driver.run_or_start(setup_plan(self._scope.schema, MESSAGES_COMPONENT))

    async def asetup(self) -> None:
        """`setup`, asynchronously."""
        await self._driver.arun(setup_plan(self._scope.schema, MESSAGES_COMPONENT))

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """The session's messages, oldest first: the latest `limit` of them."""
        return self._driver.run(self._read())

    async def aget_messages(self) -> list[BaseMessage]:
        """`messages`, asynchronously."""
        return await self._driver.arun(self._read())

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, in one statement."""
        self._driver.run(self._add(messages))

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """`add_messages`, asynchronously."""
        await self._driver.arun(self._add(messages))

    def clear(self) -> None:
        """Remove the session's messages."""
        self._driver.run(self._clear())

    async def aclear(self) -> None:
        """`clear`, asynchronously."""
        await self._driver.arun(self._clear())

    def _key(self) -> tuple[str, str]:
        return self._scope.tenant, storable(str(self.session_id))

    def _read(self) -> Plan[list[BaseMessage]]:
        def steps() -> Steps[list[BaseMessage]]:
            rows = yield FetchAll(self._scope.render(READ), (*self._key(), self.limit))
            opened = (self._codec.open(data) for (data,) in reversed(rows))
            return [self._codec.serde.loads_typed((kind, data)) for kind, data in opened]

        return (yield from attempt(steps))

    def _add(self, messages: Sequence[BaseMessage]) -> Plan[None]:
        for message in messages:
            if not isinstance(message, BaseMessage):
                raise ConfigurationError(f"a {type(message).__name__} is no message")
        if not messages:
            return
        # Identified here, so that an insert whose answer was lost adds nothing when made again.
        ids = [uuid.uuid4() for _ in messages]
        frames = [self._codec.seal(list(self._codec.serde.dumps_typed(m))) for m in messages]

        def steps() -> Steps[None]:
            yield FetchAll(self._scope.render(ADD), (*self._key(), ids, ByteaArray(frames)))

        yield from attempt(steps)

    def _clear(self) -> Plan[None]:
        def steps() -> Steps[None]:
            yield FetchAll(self._scope.render(CLEAR), self._key())

        yield from attempt(steps)
