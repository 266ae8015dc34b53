"""Who signed a request is sure, or it is refused. botocore signs; nothing reads a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.api.access.signature import (
    SKEW_MAX,
    HttpRequest,
    Signer,
    SigningKey,
    check_signature,
    signed_headers,
)
from cluster_runtime.api.refusals import RefusedRequestError

KEY = SigningKey("a secret key of some length")
SESSION = SigningKey("another", "a token", datetime(2026, 1, 1, 13, tzinfo=UTC))
KEYS = {"AKIDPERMANENT": KEY, "ASIASESSION": SESSION}
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def signed_by_botocore(
    key_id: str = "AKIDPERMANENT",
    *,
    body: bytes = b"Action=DescribeDBClusters",
    query: str = "",
    service: str = "rds",
    region: str = "us-east-1",
    at: datetime = NOW,
) -> HttpRequest:
    key = KEYS.get(key_id, KEY)
    url = "http://127.0.0.1:8000/" + (f"?{query}" if query else "")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Amz-Target": "none"}
    request = AWSRequest("POST", url, headers, body)
    credentials = Credentials(key_id, key.secret_access_key, key.session_token)
    with patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        SigV4Auth(credentials, service, region).add_auth(request)
    found = {name.lower(): str(value) for name, value in request.headers.items()}
    return HttpRequest("POST", "/", query, {"host": "127.0.0.1:8000", **found}, body)


def checked(request: HttpRequest, now: datetime = NOW) -> Signer:
    return check_signature(request, key_of=KEYS.get, now=now)


def fault(request: HttpRequest, now: datetime = NOW) -> str:
    with pytest.raises(RefusedRequestError) as raised:
        checked(request, now)
    return raised.value.fault


@given(
    body=st.binary(max_size=50),
    query=st.lists(
        st.tuples(
            st.text("abcAZ-_.~ +%/", min_size=1, max_size=4), st.text("ab=&%~ +", max_size=4)
        ),
        max_size=3,
    ),
)
def test_what_botocore_signs_passes(body: bytes, query: list[tuple[str, str]]) -> None:
    text = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in query)
    request = signed_by_botocore(body=body, query=text)
    assert checked(request) == Signer("AKIDPERMANENT", "us-east-1", "rds")


def test_a_session_passes_with_its_token_until_it_ends() -> None:
    request = signed_by_botocore("ASIASESSION", service="sts")
    assert checked(request) == Signer("ASIASESSION", "us-east-1", "sts")
    headers = {**request.headers, "x-amz-security-token": "another token"}
    assert fault(replace(request, headers=headers)) == "InvalidClientTokenId"
    late = signed_by_botocore("ASIASESSION", at=NOW + timedelta(hours=1))
    assert fault(late, NOW + timedelta(hours=1)) == "ExpiredToken"


def test_a_permanent_key_with_a_token_is_refused() -> None:
    request = signed_by_botocore()
    headers = {**request.headers, "x-amz-security-token": "any"}
    assert fault(replace(request, headers=headers)) == "IncompleteSignature"


@pytest.mark.parametrize("minutes", [-15, -1, 0, 14, 15])
def test_it_counts_for_fifteen_minutes_around_its_date(minutes: int) -> None:
    checked(signed_by_botocore(), NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    "away", [-SKEW_MAX - timedelta(seconds=1), SKEW_MAX + timedelta(seconds=1)]
)
def test_it_is_refused_when_replayed_later_or_dated_ahead(away: timedelta) -> None:
    assert fault(signed_by_botocore(), NOW + away) == "SignatureDoesNotMatch"


def test_an_unsigned_one_is_refused() -> None:
    request = signed_by_botocore()
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    assert fault(replace(request, headers=headers)) == "MissingAuthenticationToken"


@pytest.mark.parametrize("what", ["body", "query", "path", "method", "host", "x-amz-target"])
def test_a_change_of_anything_is_noticed(what: str) -> None:
    request = signed_by_botocore()
    changed = {
        "body": replace(request, body=b"Action=DeleteDBCluster"),
        "query": replace(request, query="Action=DeleteDBCluster"),
        "path": replace(request, path="/elsewhere"),
        "method": replace(request, method="GET"),
        "host": replace(request, headers={**request.headers, "host": "localhost:8000"}),
        "x-amz-target": replace(request, headers={**request.headers, "x-amz-target": "other"}),
    }[what]
    assert fault(changed) == "SignatureDoesNotMatch"


def test_an_unknown_key_and_a_wrong_secret_are_refused() -> None:
    assert fault(signed_by_botocore("AKIDUNKNOWN")) == "InvalidClientTokenId"
    request = signed_by_botocore()
    with pytest.raises(RefusedRequestError) as raised:
        check_signature(request, key_of=lambda _: SigningKey("not the secret"), now=NOW)
    assert raised.value.fault == "SignatureDoesNotMatch"
    assert "not the secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target"])
def test_what_must_be_signed_is_signed(name: str) -> None:
    request = signed_by_botocore()
    header = request.headers["authorization"]
    signed = header.partition("SignedHeaders=")[2].partition(",")[0]
    fewer = ";".join(each for each in signed.split(";") if each != name)
    headers = {**request.headers, "authorization": header.replace(signed, fewer)}
    assert fault(replace(request, headers=headers)) == "IncompleteSignature"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic Zm9vOmJhcg==",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=a/20260101/r/s/aws4_request, SignedHeaders=host, Signature=0",
    ],
)
def test_a_header_of_another_form_is_refused(header: str) -> None:
    request = signed_by_botocore()
    headers = {**request.headers, "authorization": header}
    assert fault(replace(request, headers=headers)) == "IncompleteSignature"


@pytest.mark.parametrize("key_id", KEYS)
def test_what_is_signed_here_is_what_botocore_would_send(key_id: str) -> None:
    request = signed_by_botocore(key_id)
    bare = {
        name: value
        for name, value in request.headers.items()
        if name in ("host", "content-type", "x-amz-target")
    }
    headers = signed_headers(
        replace(request, headers=bare),
        access_key_id=key_id,
        key=KEYS[key_id],
        region="us-east-1",
        service="rds",
        now=NOW,
    )
    assert headers["authorization"] == request.headers["authorization"]
    assert checked(replace(request, headers=headers)).access_key_id == key_id
