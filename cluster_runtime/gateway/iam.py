"""IAM database tokens: the presigned URL that stands in for a password.

A token is what `generate_db_auth_token` of any AWS SDK makes: a SigV4 query-signed GET of
`https://<host>:<port>/?Action=connect&DBUser=<user>` for the service `rds-db`, without the scheme.
It opens connections for 15 minutes, so it is as secret as a password.

Source: AWS Signature Version 4, "Authenticating requests: using query parameters"; Amazon RDS
User Guide, "IAM database authentication".
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

SERVICE = "rds-db"
LIFETIME_MAX = timedelta(minutes=15)
CLOCK_SKEW_MAX = timedelta(minutes=5)  # how far in the future a token may have been signed

_ALGORITHM = "AWS4-HMAC-SHA256"
_PARAMETERS = {
    "Action", "DBUser", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
    "X-Amz-SignedHeaders", "X-Amz-Signature",
}  # fmt: skip
_URL = re.compile(
    r"(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})/?\?(?P<query>.+)"
)
_EMPTY_BODY = hashlib.sha256(b"").hexdigest()


def looks_like_token(credential: str) -> bool:
    """Whether a credential is meant as a token, and not as a password."""
    return "X-Amz-Signature=" in credential


def verify_token(
    token: str,
    *,
    user: str,
    hosts: Collection[str],
    port: int,
    region: str,
    access_keys: Mapping[str, str],
    now: datetime,
) -> bool:
    """Whether the token opens a connection of `user` now. Does not say what is wrong with it.

    hosts: names and addresses of the endpoint, in lower case; the token must be made for one.
    access_keys: secret access keys by access key id.
    now: aware; the token counts from 5 minutes before its date to its end, at most 15 minutes.
    """
    url = _URL.fullmatch(token)
    if url is None:
        return False
    parameters = _parameters(url["query"])
    if parameters is None or parameters.keys() != _PARAMETERS:
        return False
    signed_at = _date(parameters["X-Amz-Date"])
    lifetime = _lifetime(parameters["X-Amz-Expires"])
    if signed_at is None or lifetime is None:
        return False

    key_id, *scope = parameters["X-Amz-Credential"].split("/")
    if len(scope) != 4:
        return False
    host = url["host"].lower()
    facts_fit = (
        parameters["Action"] == "connect"
        and parameters["DBUser"] == user
        and parameters["X-Amz-Algorithm"] == _ALGORITHM
        and parameters["X-Amz-SignedHeaders"] == "host"
        and scope == [signed_at.strftime("%Y%m%d"), region, SERVICE, "aws4_request"]
        and host.strip("[]") in hosts
        and int(url["port"]) == port
        and signed_at - CLOCK_SKEW_MAX <= now < signed_at + lifetime
    )
    secret = access_keys.get(key_id)
    signature = _signature(
        parameters,
        host if port == 443 else f"{host}:{port}",  # SDKs leave the scheme's own port out
        # An unknown key costs the same time as a known one.
        secret if secret is not None else secrets.token_hex(20),
    )
    signature_fits = hmac.compare_digest(
        signature.encode(), parameters["X-Amz-Signature"].encode(errors="replace")
    )
    return facts_fit and secret is not None and signature_fits


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
