"""IAM database tokens: the presigned URL that stands in for a password.

A token is what `generate_db_auth_token` of any AWS SDK makes: a SigV4 query-signed GET of
`https://<host>:<port>/?Action=connect&DBUser=<user>` for the service `rds-db`, without the scheme.
It opens connections for 15 minutes, so it is as secret as a password. One that was signed with
temporary credentials carries their session token (`X-Amz-Security-Token`), under the signature.

Source: AWS Signature Version 4, "Authenticating requests: using query parameters"; Amazon RDS
User Guide, "IAM database authentication".
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote, unquote

SERVICE = "rds-db"
LIFETIME_MAX = timedelta(minutes=15)
CLOCK_SKEW_MAX = timedelta(minutes=5)  # how far in the future a token may have been signed

_ALGORITHM = "AWS4-HMAC-SHA256"
_PARAMETERS = {
    "Action", "DBUser", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
    "X-Amz-SignedHeaders", "X-Amz-Signature",
}  # fmt: skip
_SECURITY_TOKEN = "X-Amz-Security-Token"
_URL = re.compile(
    r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})/?\?(?P<query>.+)"
)
_EMPTY_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What tokens may be signed with.

    session_token: of temporary credentials; their tokens must carry it. None: of a permanent key.
    expires: aware; from then on nothing that it signed counts. None: never.
    """

    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


class TokenRefusal(StrEnum):
    """Why a token opens nothing: for the log, never for the client."""

    MALFORMED = "it is no token as generate_db_auth_token makes them"
    PURPOSE = "it is signed for something else than a connection to a database"
    USER = "it is made for another user"
    ENDPOINT = "it is made for another host or port"
    REGION = "it is made for another region"
    EARLY = "its date is more than 5 minutes in the future"
    LATE = "its time is over"
    KEY = "its access key is not known here"
    SESSION_OVER = "the session that signed it has expired"
    SESSION_TOKEN = "it lacks the session token of its access key, or has another one"
    SIGNATURE = "its signature is wrong"


def check_token(
    token: str,
    *,
    user: str,
    hosts: Collection[str],
    port: int,
    region: str,
    access_keys: Mapping[str, SigningKey],
    now: datetime,
) -> TokenRefusal | None:
    """Why the token opens no connection of `user` now; None: it does.

    hosts: names and addresses of the endpoint, in lower case; the token must be made for one.
    access_keys: by access key id.
    now: aware; the token counts from 5 minutes before its date to its end, at most 15 minutes.
    """
    url = _URL.fullmatch(token)
    parameters = _parameters(url["query"]) if url is not None else None
    if url is None or parameters is None or parameters.keys() - {_SECURITY_TOKEN} != _PARAMETERS:
        return TokenRefusal.MALFORMED
    signed_at = _date(parameters["X-Amz-Date"])
    lifetime = _lifetime(parameters["X-Amz-Expires"])
    key_id, *scope = parameters["X-Amz-Credential"].split("/")
    if signed_at is None or lifetime is None or len(scope) != 4:
        return TokenRefusal.MALFORMED

    host = url["host"].lower()
    known = access_keys.get(key_id)
    # An unknown key costs the same time as a known one.
    key = known if known is not None else SigningKey(secrets.token_hex(20))
    signature = _signature(
        parameters,
        host if port == 443 else f"{host}:{port}",  # SDKs leave the scheme's own port out
        key.secret_access_key,
    )
    signature_fits = _same(signature, parameters["X-Amz-Signature"])
    session_fits = _same(key.session_token or "", parameters.get(_SECURITY_TOKEN, ""))
    date, scope_region, *service = scope
    checks = (
        (known is not None, TokenRefusal.KEY),
        (key.expires is None or now < key.expires, TokenRefusal.SESSION_OVER),
        (session_fits, TokenRefusal.SESSION_TOKEN),
        (
            parameters["Action"] == "connect"
            and parameters["X-Amz-Algorithm"] == _ALGORITHM
            and parameters["X-Amz-SignedHeaders"] == "host"
            and service == [SERVICE, "aws4_request"]
            and date == signed_at.strftime("%Y%m%d"),
            TokenRefusal.PURPOSE,
        ),
        (parameters["DBUser"] == user, TokenRefusal.USER),
        (host.strip("[]") in hosts and int(url["port"]) == port, TokenRefusal.ENDPOINT),
        (scope_region == region, TokenRefusal.REGION),
        (signed_at - CLOCK_SKEW_MAX <= now, TokenRefusal.EARLY),
        (now < signed_at + lifetime, TokenRefusal.LATE),
        (signature_fits, TokenRefusal.SIGNATURE),
    )
    return next((refusal for fits, refusal in checks if not fits), None)


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def _signature(parameters: Mapping[str, str], host: str, secret: str) -> str:
    """The hex signature over everything but itself (SigV4, "Create a canonical request")."""
    query = "&".join(
        f"{name}={value}"
        for name, value in sorted(
            (_encode(name), _encode(value))
            for name, value in parameters.items()
            if name != "X-Amz-Signature"
        )
    )
    request = f"GET\n/\n{query}\nhost:{host}\n\nhost\n{_EMPTY_BODY}"
    scope = parameters["X-Amz-Credential"].partition("/")[2]
    hashed = hashlib.sha256(request.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{parameters['X-Amz-Date']}\n{scope}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _parameters(query: str) -> dict[str, str] | None:
    """The query's parameters; None when one is malformed or repeated."""
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, equals, value = part.partition("=")
        if not equals:
            return None
        try:
            name, value = unquote(name, errors="strict"), unquote(value, errors="strict")
        except UnicodeDecodeError:
            return None
        if name in found:
            return None
        found[name] = value
    return found


def _date(text: str) -> datetime | None:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", text):
        return None
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _lifetime(text: str) -> timedelta | None:
    if not re.fullmatch(r"[0-9]{1,4}", text):
        return None
    lifetime = timedelta(seconds=int(text))
    return lifetime if timedelta(0) < lifetime <= LIFETIME_MAX else None


def _encode(text: str) -> str:
    return quote(text, safe="-_.~")
