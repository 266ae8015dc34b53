"""Tokens of an external issuer, over HTTP and with the real client."""

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import httpx2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from mcp_server.access import issuers
from mcp_server.access.issuers import Issuer, IssuerError, metadata_urls, published_keys
from mcp_server.access.opening import AccessOptions
from mcp_server.errors import ScopeError
from mcp_server.server import listen
from tests.mcp_server.access.conftest import (
    PASSPHRASE,
    OtherIssuer,
    Serving,
    Storage,
    in_a_thread,
    initialized,
    serving,
)
from tests.mcp_server.access.keys import RSA, jwk

RESOURCE = "http://127.0.0.1:1/mcp"
HANGS_SECONDS = 20
"""Who waits for an issuer still does by then."""


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, other_issuer: OtherIssuer
) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("issuer")
    with serving(folder, oauth=other_issuer.url, scopes=("db",)) as found:
        yield found


async def test_a_client_gets_a_token_from_the_issuer_that_the_server_names(
    server: Serving, other_issuer: OtherIssuer
) -> None:
    robot = ClientCredentialsOAuthProvider(server.url, Storage(), "robot", "s3cret", scope="db")
    async with (
        httpx2.AsyncClient(auth=robot) as http,
        Client(streamable_http_client(server.url, http_client=http)) as client,
    ):
        assert not (await client.call_tool("test_simple_text", {})).is_error
    assert server.url in other_issuer.asked


def test_who_shows_nothing_is_told_of_the_issuer(
    server: Serving, other_issuer: OtherIssuer
) -> None:
    assert "resource_metadata=" in initialized(server, None).headers["www-authenticate"]
    told = httpx.get(f"{server.origin}/.well-known/oauth-protected-resource/mcp").json()
    assert told["authorization_servers"] == [other_issuer.url]
    assert (told["resource"], told["scopes_supported"]) == (server.url, ["db"])
    # The server gives no tokens itself.
    assert httpx.post(f"{server.origin}/token").status_code == 401


def test_a_token_is_for_this_server_and_of_this_issuer(
    server: Serving, other_issuer: OtherIssuer
) -> None:
    right = {"aud": server.url}
    for changed, status in (
        ({}, 200),
        ({"aud": "https://other.example.com"}, 401),
        ({"iss": "https://evil.example.com"}, 401),
        ({"exp": 1}, 401),
        ({"scope": "other"}, 403),
    ):
        token = other_issuer.token(**{**right, **changed})
        assert initialized(server, token).status_code == status
    assert initialized(server, PASSPHRASE).status_code == 200


async def test_refusals_are_logged_with_a_reason_and_without_the_token(
    other_issuer: OtherIssuer,
) -> None:
    token = other_issuer.token(aud="https://other.example.com")
    with capture_logs() as said:
        assert await Issuer(other_issuer.url, RESOURCE).verify_token(token) is None
    (line,) = said
    assert line["reason"] == "it is for another audience"
    assert token not in str(said)


async def test_new_keys_are_read_and_an_issuer_is_not_asked_for_each_unknown_one(
    other_issuer: OtherIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier = Issuer(other_issuer.url, RESOURCE)
    assert await verifier.verify_token(other_issuer.token(aud=RESOURCE)) is not None
    new = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    rotated = other_issuer.token(new, "two", aud=RESOURCE)
    other_issuer.keys.append(jwk(new, "two"))
    other_issuer.asked.clear()
    for _ in range(5):
        assert await verifier.verify_token(rotated) is None
    assert other_issuer.asked == []
    monkeypatch.setattr(issuers, "AGAIN_SECONDS", 0.0)
    assert await verifier.verify_token(rotated) is not None
    assert other_issuer.asked == ["keys"]
    other_issuer.keys.pop()


async def test_an_issuer_that_is_away_lets_nobody_in_and_is_not_asked_for_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def gone(request: Request) -> Response:
        asked.append(request.url.path)
        return PlainTextResponse("gone", 503)

    with listen("127.0.0.1", 0) as listener:
        other = OtherIssuer(f"http://127.0.0.1:{listener.getsockname()[1]}")
        verifier, token = Issuer(other.url, RESOURCE), other.token(aud=RESOURCE)
        with in_a_thread(Starlette(routes=[Route("/{path:path}", gone)]), listener):
            for _ in range(3):
                assert await verifier.verify_token(token) is None
            places = [urlsplit(each).path for each in metadata_urls(other.url)]
            assert asked == places
            monkeypatch.setattr(issuers, "AGAIN_SECONDS", 0.0)
            assert await verifier.verify_token(token) is None
            assert set(asked[len(places) :]) == set(places)


@pytest.mark.parametrize("why", ["they are old", "a token names another"])
async def test_who_shows_a_token_of_a_known_key_waits_for_no_slow_issuer(
    other_issuer: OtherIssuer, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    verifier = Issuer(other_issuer.url, RESOURCE)
    good = other_issuer.token(aud=RESOURCE)
    assert await verifier.verify_token(good) is not None
    monkeypatch.setattr(issuers, "AGAIN_SECONDS", 0.0)
    if why == "they are old":
        monkeypatch.setattr(issuers, "KEYS_SECONDS", 0.0)
    monkeypatch.setattr(other_issuer, "silent", threading.Event())
    other_issuer.heard.clear()
    came: list[bool] = []

    async def first() -> None:
        token = good if why == "they are old" else other_issuer.token(kid="two", aud=RESOURCE)
        came.append(await verifier.verify_token(token) is not None)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await anyio.to_thread.run_sync(other_issuer.heard.wait)
        try:
            with anyio.fail_after(HANGS_SECONDS):
                assert await verifier.verify_token(good) is not None
            assert came == []
        finally:
            other_issuer.silent.set()
    assert came == [why == "they are old"]


async def test_an_issuer_whose_answer_has_no_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    left = threading.Event()

    async def dripping(_: Request) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            while not left.is_set():
                yield b" "
                await anyio.sleep(0.02)

        return StreamingResponse(drops())

    monkeypatch.setattr(issuers, "FETCH_SECONDS", 0.5)
    with listen("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with in_a_thread(Starlette(routes=[Route("/{path:path}", dripping)]), listener):
            try:
                with anyio.fail_after(HANGS_SECONDS), pytest.raises(IssuerError, match="answer in"):
                    await published_keys(url)
            finally:
                left.set()


async def test_metadata_of_another_issuer_is_not_believed(other_issuer: OtherIssuer) -> None:
    named, other_issuer.url = other_issuer.url, "https://evil.example.com"
    try:
        with pytest.raises(IssuerError, match="another issuer"):
            await published_keys(named)
    finally:
        other_issuer.url = named


async def test_an_issuer_without_keys_is_an_error(other_issuer: OtherIssuer) -> None:
    keys, other_issuer.keys = other_issuer.keys, [{"kty": "oct", "k": "eA"}]
    try:
        with pytest.raises(IssuerError, match="no key"):
            await published_keys(other_issuer.url)
    finally:
        other_issuer.keys = keys
    assert jwk(RSA, "one", alg="RS256") in other_issuer.keys


def test_metadata_is_where_the_standards_say() -> None:
    assert metadata_urls("https://a.example.com/") == [
        "https://a.example.com/.well-known/oauth-authorization-server",
        "https://a.example.com/.well-known/openid-configuration",
    ]
    assert metadata_urls("https://a.example.com/realms/x") == [
        "https://a.example.com/.well-known/oauth-authorization-server/realms/x",
        "https://a.example.com/.well-known/openid-configuration/realms/x",
        "https://a.example.com/realms/x/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize(
    ("options", "http", "said"),
    [
        ({"oauth": "https://a.example.com"}, False, "needs --http"),
        ({"resource": "https://a.example.com"}, True, "needs --oauth"),
        ({"scopes": ("a",)}, True, "needs --oauth"),
        ({"oauth": "local"}, True, "needs --token-file"),
        ({"oauth": "local", "token_file": Path("x"), "scopes": ("a",)}, True, "external issuer"),
        ({"oauth": "http://a.example.com"}, True, "https"),
        ({"oauth": "locale"}, True, "takes a URL"),
        ({"oauth": "https://u:p@a.example.com"}, True, "without user"),
        ({"oauth": "https://a.example.com", "resource": "ftp://x"}, True, "takes a URL"),
    ],
)
def test_options_that_cannot_work_say_why(options: dict[str, Any], http: bool, said: str) -> None:
    made = AccessOptions(**options)

    def start() -> None:
        made.check(http=http)
        made.opened("http://127.0.0.1:1/mcp")

    with pytest.raises(ScopeError, match=said):
        start()
