"""Which credential opens a role that has a password, may use tokens, or both: real clients."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import psycopg
import pytest

from cluster_runtime.errors import InvalidParameterError
from tests.cluster_runtime.gateway.conftest import make_token
from tests.cluster_runtime.gateway.test_clients import asyncpg_connect

BY_SCRAM = {"require_auth": "scram-sha-256"}
BOUND = {"channel_binding": "require"}
IAM_BEFOREHAND = {"options": "-c borealis.auth=iam"}
SCRAM_ONLY = {"options": "-c borealis.auth=scram -c work_mem=77kB"}
SESSION_KEY = "ASIASESSION000000001"
SESSION_SECRET = "a-secret-of-a-session"
SESSION_TOKEN = "FwoGZXIvYXdzE//a+session+token=="


def who(house: Any, **kwargs: Any) -> tuple[str, str]:
    """The user that a login ends with, and what it proved itself with."""
    with house.connect(**kwargs) as conn:
        row = conn.execute("select current_user").fetchone()
        (session,) = house.on_loop(house.endpoint.describe_sessions)
        return row[0], session.authentication


def refused(house: Any, **kwargs: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        house.connect(**kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "authentication"),
    [
        ({}, "SCRAM-SHA-256-PLUS"),
        (BY_SCRAM, "SCRAM-SHA-256-PLUS"),
        (BOUND, "SCRAM-SHA-256-PLUS"),
        ({**BY_SCRAM, **BOUND}, "SCRAM-SHA-256-PLUS"),
        ({"channel_binding": "disable"}, "SCRAM-SHA-256"),
        ({"sslnegotiation": "direct", **BOUND}, "SCRAM-SHA-256-PLUS"),
        (SCRAM_ONLY, "SCRAM-SHA-256-PLUS"),
    ],
)
def test_the_password_of_a_role_that_may_use_tokens_goes_through_scram(
    house: Any, options: dict[str, str], authentication: str
) -> None:
    assert who(house, user="either", **options) == ("either", authentication)


@pytest.mark.parametrize("user", ["either", "agent"])
@pytest.mark.parametrize("options", [{}, IAM_BEFOREHAND, {"require_auth": "!md5"}])
def test_a_token_opens_it_with_a_password_set_or_without(
    house: Any, user: str, options: dict[str, str]
) -> None:
    assert who(house, user=user, password=house.token(user), **options) == (user, "IAM token")


def test_a_client_that_takes_clear_passwords_alone_says_so_beforehand(house: Any) -> None:
    clear = {"user": "either", "password": house.token("either"), "require_auth": "password"}
    assert "authentication method" in refused(house, **clear)
    assert who(house, **clear, **IAM_BEFOREHAND) == ("either", "IAM token")


async def test_asyncpg_gets_in_with_either(house: Any) -> None:
    for password in (house.password, house.token("either", host="127.0.0.1")):
        conn = await asyncpg_connect(house, user="either", password=password)
        assert await conn.fetchval("select current_user") == "either"
        await conn.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg_connect(house, user="either", password="wrong")


@pytest.mark.parametrize("demand", [BY_SCRAM, BOUND])
def test_a_client_that_insists_on_scram_never_shows_its_password(
    house: Any, demand: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(
        house.endpoint, "check_token", lambda token, user: shown.append(token) or None
    )
    for password in ("wrong", house.token("either")):
        refused(house, user="either", password=password, **demand)
    assert shown == []


@pytest.mark.parametrize(
    "login",
    [
        {"user": "either", "password": "wrong"},
        {"user": "app", "password": "wrong"},
        {"user": "app", **IAM_BEFOREHAND},
        {"user": "either", **IAM_BEFOREHAND},
        {"user": "nobody", **IAM_BEFOREHAND},
        {"user": "either", "password": "wrong", **SCRAM_ONLY},
    ],
)
def test_what_does_not_fit_is_refused_in_one_text(house: Any, login: dict[str, str]) -> None:
    text = refused(house, **login)
    assert f'password authentication failed for user "{login["user"]}"' in text


def test_a_token_counts_only_where_tokens_do(house: Any) -> None:
    token = house.token("app")
    for options in ({}, IAM_BEFOREHAND):
        assert "authentication failed" in refused(house, user="app", password=token, **options)
    only_scram = {"user": "either", "password": house.token("either"), **SCRAM_ONLY}
    assert "authentication failed" in refused(house, **only_scram)
    house.configure(iam_enabled=False)
    assert "not enabled" in refused(house, user="either", **IAM_BEFOREHAND)
    assert who(house, user="either") == ("either", "SCRAM-SHA-256-PLUS")
    house.configure(iam_enabled=True, require_tls=False)
    assert "in TLS only" in refused(house, user="either", sslmode="disable", **IAM_BEFOREHAND)
    assert who(house, user="either", sslmode="disable") == ("either", "SCRAM-SHA-256")


def test_the_wish_stays_at_the_gateway_and_other_options_pass(house: Any) -> None:
    with house.connect(user="either", **SCRAM_ONLY) as conn:
        assert conn.execute("show work_mem").fetchone() == ("77kB",)
        assert conn.execute("select current_setting('borealis.auth', true)").fetchone() == (None,)
    assert "borealis.auth" in refused(house, options="-c borealis.auth=md5")


def session_token_for(house: Any, **kwargs: Any) -> str:
    return make_token(
        house.endpoint.port,
        "agent",
        **{"key_id": SESSION_KEY, "secret": SESSION_SECRET, "session": SESSION_TOKEN, **kwargs},
    )


def test_a_token_signed_with_temporary_credentials_opens_a_connection(
    house: Any, caplog: pytest.LogCaptureFixture
) -> None:
    token = session_token_for(house)
    caplog.clear()
    caplog.set_level(logging.INFO)
    login = {"user": "agent", "password": token}
    assert "authentication failed" in refused(house, **login)
    assert "its access key is not known here" in caplog.text
    expires = datetime.now(UTC) + timedelta(minutes=10)
    facts = (SESSION_KEY, SESSION_SECRET, SESSION_TOKEN, expires)
    house.on_loop(house.gateway.register_session, *facts)
    assert who(house, **login) == ("agent", "IAM token")
    house.clock_offset = timedelta(minutes=11)
    assert "authentication failed" in refused(house, **login)
    assert "has expired" in caplog.text
    for secret in (token, SESSION_SECRET, SESSION_TOKEN, token.rpartition("=")[2]):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("made_with", "reason"),
    [
        ({"session": None}, "lacks the session token"),
        ({"session": "another"}, "lacks the session token"),
        ({"secret": "another"}, "signature is wrong"),
        ({"host": "other.us-east-1.localhost"}, "another host or port"),
        ({"region": "eu-west-1"}, "another region"),
        ({"key_id": "ASIANOBODY"}, "is not known here"),
    ],
)
def test_the_log_says_why_a_token_was_refused_and_the_client_does_not_hear_it(
    house: Any, made_with: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    expires = datetime.now(UTC) + timedelta(minutes=10)
    house.on_loop(
        house.gateway.register_session, SESSION_KEY, SESSION_SECRET, SESSION_TOKEN, expires
    )
    token = session_token_for(house, **made_with)
    caplog.clear()
    caplog.set_level(logging.INFO)
    text = refused(house, user="agent", password=token)
    assert reason not in text
    assert reason in caplog.text
    assert token.rpartition("=")[2] not in caplog.text


def test_a_session_that_can_sign_nothing_is_not_registered(house: Any) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=10)
    for facts in (
        ("", "secret", "token", soon),
        ("ASIA", "", "token", soon),
        ("ASIA", "secret", "", soon),
        ("ASIA", "secret", "token", datetime.now(UTC)),
        ("ASIA", "secret", "token", soon.replace(tzinfo=None)),
        (next(iter(house.gateway.access_keys)), "secret", "token", soon),
    ):
        with pytest.raises(InvalidParameterError):
            house.on_loop(house.gateway.register_session, *facts)
