"""The signature of a request on the host's socket: AWS's Version 4, with the host's own key.

The socket is open to its owner alone; the signature keeps out whoever reaches it otherwise, such as
a process behind a postmaster's walls. Written on the standard library, for a command that asks one
question signs one request and must not wait for an SDK.

Source: AWS Signature Version 4, "Create a signed AWS API request".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cluster_runtime.control.records.state_directory import AccessKey

SERVICE = "borealis"
REGION = "local"
HOST_NAME = "borealis"
SKEW_MAX = timedelta(minutes=15)
"""How far the date of a request may be from now, either way."""

_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = "%Y%m%dT%H%M%SZ"
_SIGNED = "host;x-amz-date"


def signed_headers(path: str, body: bytes, key: AccessKey, now: datetime) -> dict[str, str]:
    """The headers of a POST that sign it. now: aware."""
    date = now.astimezone(UTC).strftime(_DATE)
    return {
        "Host": HOST_NAME,
        "X-Amz-Date": date,
        "Authorization": _authorization(path, body, key, date),
    }


def is_signed(
    path: str, body: bytes, headers: Mapping[str, str], key: AccessKey, now: datetime
) -> bool:
    """Whether a POST is signed with the key, for about now. headers: names in lower case."""
    date = headers.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(date, _DATE).replace(tzinfo=UTC)
    except ValueError:
        return False
    expected = _authorization(path, body, key, date)
    given = headers.get("authorization", "")
    fits = hmac.compare_digest(expected.encode(), given.encode(errors="replace"))
    return fits and headers.get("host") == HOST_NAME and abs(now - signed_at) <= SKEW_MAX


def _authorization(path: str, body: bytes, key: AccessKey, date: str) -> str:
    hashed = hashlib.sha256(body).hexdigest()
    request = f"POST\n{path}\n\nhost:{HOST_NAME}\nx-amz-date:{date}\n\n{_SIGNED}\n{hashed}"
    scope = f"{date[:8]}/{REGION}/{SERVICE}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{date}\n{scope}\n{digest}"
    secret = f"AWS4{key.secret_access_key}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    signature = hmac.digest(secret, to_sign.encode(), "sha256").hex()
    return (
        f"{_ALGORITHM} Credential={key.access_key_id}/{scope}, "
        f"SignedHeaders={_SIGNED}, Signature={signature}"
    )
