"""Operations on sessions: who is connected, what they do, who may sign tokens for a while. Ours."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import ACTIVITY, SESSIONS, ClusterReference
from cluster_runtime.control.records.fields import SECRET
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError

SESSION_NOUN = "Session"


@operation(
    "DescribeSessions",
    of=SESSION_NOUN,
    returns=SESSIONS,
    raises=(ClusterNotFoundError,),
    ours=True,
    of_this_host=True,
)
@dataclass(frozen=True, slots=True)
class DescribeSessions(Request):
    """Show who is connected to a cluster through the gateway: address, TLS, kind of credential.

    PostgreSQL itself sees a unix socket; `pid` joins this to its `pg_stat_activity`.
    """

    db_cluster_identifier: ClusterReference


@operation(
    "DescribeActivity",
    of=SESSION_NOUN,
    returns=ACTIVITY,
    raises=(ClusterNotFoundError,),
    ours=True,
    of_this_host=True,
)
@dataclass(frozen=True, slots=True)
class DescribeActivity(Request):
    """Show how much a cluster does: connections, transactions so far, lag of its readers.

    A paused cluster stays paused.
    """

    db_cluster_identifier: ClusterReference


@operation(
    "RegisterSession",
    of=SESSION_NOUN,
    returns=None,
    raises=(InvalidParameterError,),
    ours=True,
    of_this_host=True,
)
@dataclass(frozen=True, slots=True)
class RegisterSession(Request):
    """Accept IAM tokens that are signed with temporary credentials, until these expire.

    Kept in memory: register them again after a restart of the host.

    access_key_id: of the temporary credentials.
    secret_access_key: of the temporary credentials.
    session_token: of the temporary credentials.
    expires: when they end; aware.
    """

    access_key_id: str
    secret_access_key: Annotated[str, SECRET] = field(repr=False)
    session_token: Annotated[str, SECRET] = field(repr=False)
    expires: datetime
