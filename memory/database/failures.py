"""Which database errors pass by themselves, and what they say about the connection.

A failover, a pause, a cut connection and a deadlock all show as errors of one attempt; trying
again on a fresh connection succeeds. A wrong password does not.

SQLSTATEs: PostgreSQL documentation, appendix A.
"""

import re
from enum import Enum, auto

import psycopg

RETRY_ON_SAME_CONNECTION = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "26000",  # invalid_sql_statement_name: what was prepared is gone (see dialing.called)
        "42P05",  # duplicate_prepared_statement
    }
)
RETRY_ON_NEW_CONNECTION = frozenset(
    {
        "25006",  # read_only_sql_transaction: this server was the writer before a failover
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "53300",  # too_many_connections
        "57P01",  # admin_shutdown (pg_terminate_backend, failover, pause)
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
    }
)

# libpq gives no SQLSTATE for a refused connection, only the server's words. Those below can not
# change by waiting; anything else (refused, reset, starting up, timeout) can.
_REFUSED_FOR_GOOD = re.compile(
    r"authentication failed|authentication requires|no password (?:supplied|was given|set)"
    r"|pg_hba\.conf|PAM authentication|server requires .*(?:authentication|password)"
    # Names that no server knows; a name server that does not answer at the moment passes.
    r"|Name or service not known|nodename nor servname|No address associated with hostname"
    r"|certificate|role .* does not exist|database .* does not exist|not permitted to log in"
    r"|permission denied for database|invalid connection option|missing \"=\""
    r"|server does not support SSL|authentication method|token",
    re.IGNORECASE,
)


class Failure(Enum):
    """What to do about an error."""

    PERMANENT = auto()
    TRANSIENT = auto()
    CONNECTION_LOST = auto()


def classify(error: BaseException) -> Failure:
    """Tell whether another attempt may succeed, and whether it needs another connection."""
    if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.Error)):
        return Failure.CONNECTION_LOST if isinstance(error, OSError) else Failure.PERMANENT
    state = error.sqlstate
    if state is None:
        if not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            return Failure.PERMANENT
        if _REFUSED_FOR_GOOD.search(str(error)):
            return Failure.PERMANENT
        return Failure.CONNECTION_LOST
    if state in RETRY_ON_SAME_CONNECTION:
        return Failure.TRANSIENT
    if state in RETRY_ON_NEW_CONNECTION or state.startswith("08"):
        return Failure.CONNECTION_LOST
    return Failure.PERMANENT
