"""The authorization server in the process, with the real client."""

import json
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthFlowError
from mcp.client.streamable_http import streamable_http_client

from mcp_server.access import local as local_module
from tests.mcp_server.access.conftest import (
    INITIALIZE,
    PASSPHRASE,
    REDIRECT,
    Person,
    Serving,
    Storage,
    command,
    initialized,
    serving,
    signing_in,
)
from tests.mcp_server.access.flows import (
    authorized,
    exchanged,
    registered,
    renewed,
    with_code,
)


@asynccontextmanager
async def signed_in(
    url: str, person: Person, storage: Storage, mode: str = "auto"
) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(auth=signing_in(url, person, storage)) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_registers_is_let_in_by_a_person_and_works(
    local: Serving, mode: str
) -> None:
    person, storage = Person(), Storage()
    async with signed_in(local.url, person, storage, mode) as client:
        answer = await client.call_tool("test_simple_text", {})
        assert not answer.is_error
    assert person.came["iss"] == local.origin
    (page,) = person.pages
    assert "An &lt;b&gt;editor&lt;/b&gt;" in page
    assert "http://127.0.0.1:33418" in page
    assert storage.tokens.scope == "borealis"
    async with signed_in(local.url, Person(answer="not asked"), storage, mode) as client:
        assert (await client.list_tools()).tools


async def test_a_client_renews_its_token_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    storage = Storage()
    with serving(tmp_path, oauth="local") as first:
        async with signed_in(first.url, Person(), storage) as client:
            await client.list_tools()
        port = urlsplit(first.url).port
    old = storage.tokens.access_token
    with serving(tmp_path, port, oauth="local") as second:
        assert initialized(second, old).status_code == 401
        async with httpx.AsyncClient() as browser:
            renewed = await browser.post(
                f"{second.origin}/token",
                data={
                    "grant_type": "refresh_token",
                    "refresh_token": storage.tokens.refresh_token,
                    "client_id": storage.client.client_id,
                    "client_secret": storage.client.client_secret,
                },
            )
        assert renewed.status_code == 200, renewed.text
        assert initialized(second, renewed.json()["access_token"]).status_code == 200
        kept = second.token_file.with_name("token.clients")
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        text = kept.read_text()
        assert storage.client.client_id in text
        for secret in (old, storage.tokens.refresh_token, renewed.json()["refresh_token"]):
            assert secret not in text


def test_a_new_pass_phrase_ends_what_the_former_one_allowed(tmp_path: Path) -> None:
    with serving(tmp_path, oauth="local") as first:
        client_id = registered(first, REDIRECT).json()["client_id"]
        code, verifier = with_code(first, client_id)
        made = exchanged(first, code=code, code_verifier=verifier, client_id=client_id).json()
        port = urlsplit(first.url).port
    with serving(tmp_path, port, "another-pass-phrase", oauth="local") as second:
        assert initialized(second, made["access_token"]).status_code == 401
        assert initialized(second, PASSPHRASE).status_code == 401
        refused = renewed(second, client_id, made["refresh_token"])
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        # The client need not register again: a person lets it in, or not.
        assert authorized(second, client_id).status_code == 302
    with serving(tmp_path, port, oauth="local") as third:
        assert renewed(third, client_id, made["refresh_token"]).status_code == 400


def test_what_could_not_be_kept_is_kept_with_the_next_request(tmp_path: Path) -> None:
    with serving(tmp_path, oauth="local") as server:
        client_id = registered(server, REDIRECT).json()["client_id"]
        code, verifier = with_code(server, client_id)
        lock = server.token_file.with_name("token.clients.lock")
        lock.unlink()
        lock.mkdir()
        failed = exchanged(server, code=code, code_verifier=verifier, client_id=client_id)
        assert failed.status_code == 500
        lock.rmdir()
        assert renewed(server, client_id, "unknown").status_code == 400
        kept = json.loads(server.token_file.with_name("token.clients").read_text())
        assert len(kept["issuers"][server.origin]["refresh"]) == 1


def test_clients_that_a_person_let_in_are_kept_and_the_oldest_others_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_module, "CLIENTS_MAX", 3)
    with serving(tmp_path, oauth="local") as server:
        allowed = registered(server, REDIRECT).json()["client_id"]
        code, verifier = with_code(server, allowed)
        exchanged(server, code=code, code_verifier=verifier, client_id=allowed)
        others = [registered(server, REDIRECT).json()["client_id"] for _ in range(4)]
        known = [authorized(server, each).status_code == 302 for each in (allowed, *others)]
        assert known == [True, False, False, True, True]
        kept = json.loads(server.token_file.with_name("token.clients").read_text())
        assert len(kept["issuers"][server.origin]["clients"]) == 3


@pytest.mark.parametrize("person", [Person(answer="no"), Person(passphrase="wrong-wrong-wrong")])
async def test_a_client_that_no_person_let_in_stays_outside(local: Serving, person: Person) -> None:
    with pytest.raises(BaseExceptionGroup) as raised:
        async with signed_in(local.url, person, Storage()):
            pytest.fail("it is inside")
    assert raised.group_contains(OAuthFlowError)
    assert "code" not in person.came


def test_who_shows_nothing_is_told_where_tokens_are_given(local: Serving) -> None:
    for token in (None, "wrong"):
        refused = initialized(local, token)
        assert refused.status_code == 401
        told = refused.headers["www-authenticate"]
        where = re.search(r'resource_metadata="([^"]+)"', told)[1]
    resource = httpx.get(where).json()
    assert resource["resource"] == local.url
    assert resource["authorization_servers"] == [local.origin]
    assert resource["bearer_methods_supported"] == ["header"]
    metadata = httpx.get(f"{local.origin}/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == local.origin
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["authorization_response_iss_parameter_supported"] is True


def test_the_content_of_the_token_file_lets_in_too(local: Serving) -> None:
    assert initialized(local, PASSPHRASE).status_code == 200
    assert initialized(local, PASSPHRASE + "x").status_code == 401
    in_query = httpx.post(f"{local.url}?access_token={PASSPHRASE}", json=INITIALIZE)
    assert in_query.status_code == 401


def test_nothing_else_is_open(local: Serving) -> None:
    for path in ("/", "/mcp/", "/mcp", "/docs", "/.well-known/other", "//mcp"):
        assert httpx.get(f"{local.origin}{path}").status_code == 401


def test_a_token_that_was_revoked_is_worth_nothing(local: Serving, client_id: str) -> None:
    code, verifier = with_code(local, client_id)
    made = exchanged(local, code=code, code_verifier=verifier, client_id=client_id).json()
    assert initialized(local, made["access_token"]).status_code == 200
    form = {"token": made["refresh_token"], "client_id": client_id, "client_secret": ""}
    httpx.post(f"{local.origin}/revoke", data=form)
    assert initialized(local, made["access_token"]).status_code == 401


def test_a_person_who_says_no_is_heard_from_the_issuer(local: Serving, client_id: str) -> None:
    asked = authorized(local, client_id, state="")
    name = parse_qs(urlsplit(asked.headers["location"]).query)["request"][0]
    answer = httpx.post(f"{local.origin}/consent", data={"request": name, "answer": "no"})
    came = parse_qs(urlsplit(answer.headers["location"]).query, keep_blank_values=True)
    assert came == {"error": ["access_denied"], "state": [""], "iss": [local.origin]}


async def test_the_command_serves_it_and_writes_no_secret_anywhere(state_dir: Path) -> None:
    folder = state_dir / "oauth"
    folder.mkdir()
    person, storage = Person(), Storage()
    with command(folder, "--oauth", "local") as server:
        async with signed_in(server.url, person, storage) as client:
            assert not (await client.call_tool("list_clusters", {})).is_error
        tokens = storage.tokens
        assert initialized(server, tokens.access_token + "x").status_code == 401
        used = exchanged(server, code=person.came["code"], code_verifier="x", client_id="x")
        assert used.status_code == 401
        kept = server.token_file.with_name("token.clients").read_text()
    assert json.loads(kept)["format"] == 1
    for text in ("".join(server.said), kept):
        for secret in (
            PASSPHRASE,
            person.came["code"],
            tokens.access_token,
            tokens.refresh_token,
        ):
            assert secret not in text
