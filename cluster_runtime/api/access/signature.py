"""AWS Signature Version 4 of requests: checked where they arrive, made where they leave.

Nothing here reads a clock or a file. Source: AWS Signature Version 4, "Create a signed AWS API
request" (the form with an `Authorization` header).
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_plus

from cluster_runtime.api.refusals import FORBIDDEN, RefusedRequestError

SKEW_MAX = timedelta(minutes=15)
"""How far the date of a request may be from now, either way."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION = re.compile(
    rf"{_ALGORITHM}\s+Credential=(?P<credential>[^,\s]+)\s*,\s*"
    r"SignedHeaders=(?P<headers>[^,\s]+)\s*,\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_MUST_BE_SIGNED = ("host", "x-amz-date", "x-amz-security-token", "x-amz-target")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What requests are signed with.

    session_token: of temporary credentials. expires: aware; None for a permanent key.
    """

    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as it is signed. headers: names in lower case; query: as it was sent.

    by_socket: whether it came by the host's socket, which its user alone can open.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    by_socket: bool = False


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed a request, for which service and region."""

    access_key_id: str
    region: str
    service: str


def check_signature(
    request: HttpRequest, *, key_of: Callable[[str], SigningKey | None], now: datetime
) -> Signer:
    """Who signed the request, which is sure afterwards.

    key_of: the key of an access key id, if it is known. now: aware.
    Raises RefusedRequestError with AWS's code for whatever is wrong.
    """
    header = request.headers.get("authorization")
    if header is None:
        raise _refused(
            "MissingAuthenticationToken",
            "the request is not signed; sign it with the access key in the state directory's "
            "file `credentials` (Signature Version 4)",
        )
    found = _AUTHORIZATION.fullmatch(header.strip())
    scope = found["credential"].split("/") if found is not None else []
    if found is None or len(scope) != 5 or scope[4] != "aws4_request":
        raise _incomplete("its Authorization header is not of the form of Signature Version 4")
    key_id, day, region, service, _ = scope
    signed = found["headers"].split(";")
    for name in _MUST_BE_SIGNED:
        if name in request.headers and name not in signed:
            raise _incomplete(f"its header {name!r} is not signed")
    if any(name not in request.headers for name in signed):
        raise _incomplete("it lacks a header that it says is signed")
    signed_at = _date(request.headers.get("x-amz-date", ""))
    if signed_at is None or signed_at.strftime("%Y%m%d") != day:
        raise _incomplete("its X-Amz-Date is no date, or not that of its Credential")

    known = key_of(key_id)
    # An unknown key costs the same time as a known one.
    key = known if known is not None else SigningKey(secrets.token_hex(20))
    expected = _signature(request, signed, signed_at, "/".join(scope[1:]), key.secret_access_key)
    fits = hmac.compare_digest(expected, found["signature"])
    given_token = request.headers.get("x-amz-security-token", "")
    token_fits = hmac.compare_digest((key.session_token or "").encode(), given_token.encode())
    if known is None or not token_fits:
        raise _refused("InvalidClientTokenId", "the access key or session token is not known here")
    if not fits:
        raise _refused(
            "SignatureDoesNotMatch",
            "the signature is not that of this request with this access key; check the secret key",
        )
    if key.expires is not None and now >= key.expires:
        raise _refused("ExpiredToken", "the session that signed the request has expired")
    if abs(now - signed_at) > SKEW_MAX:
        raise _refused(
            "SignatureDoesNotMatch",
            f"Signature expired: the request is dated {signed_at.strftime(_DATE)}, which is more "
            f"than {SKEW_MAX.seconds // 60} minutes from now ({now.strftime(_DATE)}); check the "
            "clock, and sign each request when it is sent",
        )
    return Signer(key_id, region, service)


def signed_headers(
    request: HttpRequest,
    *,
    access_key_id: str,
    key: SigningKey,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """All headers of the request, signed. Its `host` must be among those it has already."""
    headers = {**request.headers, "x-amz-date": now.strftime(_DATE)}
    if key.session_token is not None:
        headers["x-amz-security-token"] = key.session_token
    names = sorted(headers)
    scope = f"{now.strftime('%Y%m%d')}/{region}/{service}/aws4_request"
    dated = HttpRequest(request.method, request.path, request.query, headers, request.body)
    signature = _signature(dated, names, now, scope, key.secret_access_key)
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return headers


def _signature(
    request: HttpRequest, signed: list[str], signed_at: datetime, scope: str, secret: str
) -> str:
    headers = "".join(f"{name}:{' '.join(request.headers[name].split())}\n" for name in signed)
    canonical = "\n".join(
        (
            request.method,
            quote(request.path, safe="/-_.~"),
            _canonical_query(request.query),
            headers,
            ";".join(signed),
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    to_sign = "\n".join(
        (
            _ALGORITHM,
            signed_at.strftime(_DATE),
            scope,
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    encoded = sorted((_encode(name), _encode(value)) for name, _, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _encode(text: str) -> str:
    return quote(unquote_plus(text), safe="-_.~")


def _date(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def _refused(fault: str, message: str) -> RefusedRequestError:
    return RefusedRequestError(message, fault=fault, status=FORBIDDEN)


def _incomplete(what: str) -> RefusedRequestError:
    return RefusedRequestError(
        f"the request is not fully signed: {what}", fault="IncompleteSignature"
    )
