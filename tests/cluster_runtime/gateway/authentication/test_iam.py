"""IAM tokens as botocore signs them, and every way in which one may not fit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.gateway.authentication import iam
from tests.cluster_runtime.gateway.conftest import signer

HOST = "notes.cluster-abc.us-east-1.localhost"
KEY_ID, SECRET = "AKIDEXAMPLE", "secret/with+signs"
FACTS: dict[str, Any] = {
    "user": "agent",
    "hosts": {HOST, "localhost", "127.0.0.1", "::1"},
    "port": 5432,
    "region": "us-east-1",
    "access_keys": {KEY_ID: iam.SigningKey(SECRET)},
}


def make(
    host: str = HOST,
    port: int = 5432,
    user: str = "agent",
    region: str = "us-east-1",
    key_id: str = KEY_ID,
    secret: str = SECRET,
    session_token: str | None = None,
) -> str:
    client = signer(region, key_id, secret, session_token)
    token: str = client.generate_db_auth_token(host, port, user)
    return token


def signed_at(token: str) -> datetime:
    text = token.partition("X-Amz-Date=")[2][:16]
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def refusal(token: str, **facts: Any) -> iam.TokenRefusal | None:
    return iam.check_token(token, **{**FACTS, "now": NOW, **facts})


def fits(token: str, **facts: Any) -> bool:
    return refusal(token, **facts) is None


TOKEN = make()
NOW = datetime.now(UTC)
"""When those were signed that stand in this module: its tests may run much later."""


@pytest.mark.parametrize(
    "token",
    [
        TOKEN,
        make(host=HOST.upper()),
        make(host="127.0.0.1"),
        make(host="localhost"),
        make(host="[::1]"),
        TOKEN.replace("/?", "?"),  # as the SDK for Go writes it
    ],
)
def test_a_token_for_one_of_the_endpoints_names_opens_a_connection(token: str) -> None:
    assert fits(token)


@pytest.mark.parametrize("user", ["an agent", "ägent", "a+b&c=d/e?f%41"])
def test_any_user_name_can_be_in_a_token(user: str) -> None:
    assert fits(make(user=user), user=user, now=datetime.now(UTC))


def test_the_order_of_parameters_does_not_matter() -> None:
    base, _, query = TOKEN.partition("?")
    assert fits(base + "?" + "&".join(reversed(query.split("&"))))


@pytest.mark.parametrize(
    "token",
    [
        make(user="someone"),
        make(host="other.cluster-abc.us-east-1.localhost"),
        make(port=5433),
        make(region="eu-west-1"),
        make(key_id="AKIDUNKNOWN"),
        make(secret="another secret"),
        make(session_token="session"),
        "https://" + TOKEN,
        TOKEN + "&X-Amz-Expires=604800",
        TOKEN.replace("X-Amz-Expires=900", "X-Amz-Expires=901"),
        TOKEN.replace("X-Amz-Expires=900", "X-Amz-Expires=0"),
        TOKEN.replace("Action=connect", "Action=describe"),
        TOKEN.replace("X-Amz-SignedHeaders=host&", "X-Amz-SignedHeaders=&"),
        TOKEN.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
        TOKEN.replace("rds-db", "rds"),
        TOKEN.replace("%2Faws4_request", ""),
        TOKEN[:-1],
        TOKEN[:-64] + "0" * 64,
        TOKEN[:-64] + "é" * 64,
        TOKEN.partition("&X-Amz-Signature")[0],
        "",
        "a password",
    ],
)
def test_a_token_that_is_made_for_something_else_or_changed_opens_nothing(token: str) -> None:
    assert token != TOKEN
    assert not fits(token)


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (timedelta(0), True),
        (timedelta(minutes=15) - timedelta(seconds=1), True),
        (timedelta(minutes=15), False),
        (timedelta(days=365), False),
        (-iam.CLOCK_SKEW_MAX, True),
        (-iam.CLOCK_SKEW_MAX - timedelta(seconds=1), False),
    ],
)
def test_a_token_counts_for_15_minutes(offset: timedelta, expected: bool) -> None:
    assert fits(TOKEN, now=signed_at(TOKEN) + offset) is expected


def test_a_removed_access_key_opens_nothing() -> None:
    assert not fits(TOKEN, access_keys={})


@given(position=st.integers(0, len(TOKEN) - 1), char=st.characters(codec="utf-8"))
def test_no_character_of_a_token_can_be_changed(position: int, char: str) -> None:
    changed = TOKEN[:position] + char + TOKEN[position + 1 :]
    same_host = changed.partition(":")[0].lower() == TOKEN.partition(":")[0]
    same_rest = changed.partition(":")[2] == TOKEN.partition(":")[2]
    assert fits(changed, now=signed_at(TOKEN)) is (same_host and same_rest)


@given(st.text() | st.text().map(lambda text: f"{HOST}:5432/?" + quote(text, safe="&=%")))
def test_arbitrary_text_is_refused_and_never_an_error(text: str) -> None:
    assert not fits(text)


SESSION_KEY_ID, SESSION_TOKEN = "ASIASESSION", "FwoGZXIvYXdzE//session+token=="
EXPIRES = datetime.now(UTC) + timedelta(hours=1)
SESSION = iam.SigningKey(SECRET, SESSION_TOKEN, EXPIRES)
WITH_SESSION = {KEY_ID: iam.SigningKey(SECRET), SESSION_KEY_ID: SESSION}
SESSION_SIGNED = make(key_id=SESSION_KEY_ID, session_token=SESSION_TOKEN)


def test_a_token_signed_with_temporary_credentials_counts_while_their_session_does() -> None:
    assert fits(SESSION_SIGNED, access_keys=WITH_SESSION)
    assert refusal(SESSION_SIGNED) is iam.TokenRefusal.KEY
    just_over = {**WITH_SESSION, SESSION_KEY_ID: replace(SESSION, expires=signed_at(TOKEN))}
    assert refusal(SESSION_SIGNED, access_keys=just_over) is iam.TokenRefusal.SESSION_OVER


@pytest.mark.parametrize(
    "token",
    [
        make(key_id=SESSION_KEY_ID),
        make(key_id=SESSION_KEY_ID, session_token="another"),
        make(key_id=SESSION_KEY_ID, session_token=SESSION_TOKEN + " "),
        make(session_token=SESSION_TOKEN),
        SESSION_SIGNED.replace(quote(SESSION_TOKEN, safe=""), ""),
        TOKEN + "&X-Amz-Security-Token=" + quote(SESSION_TOKEN, safe=""),
    ],
)
def test_a_session_token_belongs_to_its_key_alone(token: str) -> None:
    assert refusal(token, access_keys=WITH_SESSION) is iam.TokenRefusal.SESSION_TOKEN


def test_a_session_token_is_under_the_signature() -> None:
    other = {**WITH_SESSION, SESSION_KEY_ID: replace(SESSION, session_token="another")}
    changed = SESSION_SIGNED.replace(quote(SESSION_TOKEN, safe=""), "another")
    assert refusal(changed, access_keys=other) is iam.TokenRefusal.SIGNATURE


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("X-Amz-Signature=", iam.TokenRefusal.MALFORMED),
        (make(user="someone"), iam.TokenRefusal.USER),
        (make(port=5433), iam.TokenRefusal.ENDPOINT),
        (make(host="other.us-east-1.localhost"), iam.TokenRefusal.ENDPOINT),
        (make(region="eu-west-1"), iam.TokenRefusal.REGION),
        (make(key_id="AKIDUNKNOWN"), iam.TokenRefusal.KEY),
        (make(secret="another secret"), iam.TokenRefusal.SIGNATURE),
        (TOKEN.replace("Action=connect", "Action=describe"), iam.TokenRefusal.PURPOSE),
    ],
)
def test_the_log_is_told_what_is_wrong_with_a_token(token: str, expected: iam.TokenRefusal) -> None:
    assert refusal(token) is expected
    assert "AKID" not in expected
    late = refusal(TOKEN, now=signed_at(TOKEN) + timedelta(minutes=15))
    early = refusal(TOKEN, now=signed_at(TOKEN) - timedelta(minutes=6))
    assert (late, early) == (iam.TokenRefusal.LATE, iam.TokenRefusal.EARLY)


def test_no_secret_shows_in_a_keys_repr() -> None:
    assert SECRET not in repr(SESSION)
    assert SESSION_TOKEN not in repr(SESSION)
