"""psycopg connections for the process that hosts the cluster they lead to."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg


class HostConnection(psycopg.Connection[Any]):
    """`cancel` lets the gateway run.

    libpq's PQcancel, which psycopg's `cancel` calls, blocks and keeps the interpreter's lock until
    the server hangs up: the gateway, in the same interpreter, could never take the request.
    """

    def cancel(self) -> None:
        """Ask the server to cancel the statement under way.

        Raises NotSupportedError with a libpq older than 17, CancellationTimeout after 30 s.
        """
        psycopg.capabilities.has_cancel_safe(check=True)
        self.cancel_safe()


class AsyncHostConnection(psycopg.AsyncConnection[Any]):
    """The same, asynchronous but for `cancel`, which psycopg has as a blocking method."""

    def cancel(self) -> None:
        """Ask the server to cancel the statement under way. Raises as `HostConnection.cancel`."""
        psycopg.capabilities.has_cancel_safe(check=True)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self.cancel_safe()).result()
