"""The authorization server in the process, with the real client, and with attackers."""

import json
import re
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthFlowError
from mcp.client.auth.oauth2 import PKCEParameters
from mcp.client.streamable_http import streamable_http_client

from mcp_server.access import local as local_module
from mcp_server.access.local import FORM_BYTES_MAX
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


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("local"), oauth="local") as found:
        yield found


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


def renewed(server: Serving, client_id: str, refresh_token: str) -> httpx.Response:
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
    }
    return httpx.post(f"{server.origin}/token", data=asked)


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


@pytest.mark.parametrize(
    "path", ["/mcp", "/register", "/token", "/authorize", "/consent", "/revoke"]
)
@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "https://evil.example"}, 403)],
)
def test_a_web_page_reaches_none_of_it_by_rebinding_a_name(
    local: Serving, path: str, headers: dict[str, str], status: int
) -> None:
    assert httpx.post(f"{local.origin}{path}", headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/mcp", "/consent", "/other"])
def test_a_web_page_opens_no_websocket(local: Serving, path: str) -> None:
    asked = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Origin": "https://evil.example",
    }
    assert httpx.get(f"{local.origin}{path}", headers=asked).status_code == 403


def registered(server: Serving, *uris: str, **more: Any) -> httpx.Response:
    facts = {"redirect_uris": list(uris), "token_endpoint_auth_method": "none", **more}
    return httpx.post(f"{server.origin}/register", json=facts)


@pytest.mark.parametrize(
    "uri",
    ["http://evil.example.com/cb", "javascript:alert(1)", "http://127.0.0.1@evil.example.com/"],
)
def test_a_client_cannot_register_to_have_codes_sent_elsewhere(local: Serving, uri: str) -> None:
    refused = registered(local, REDIRECT, uri)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_redirect_uri"


def test_a_client_cannot_fill_the_memory(local: Serving) -> None:
    assert registered(local, REDIRECT, client_name="x" * 100_000).status_code == 400


@pytest.fixture(scope="module")
def client_id(local: Serving) -> str:
    return registered(local, REDIRECT, client_name="tester").json()["client_id"]


def authorized(server: Serving, client_id: str, **changed: str | None) -> httpx.Response:
    proof = PKCEParameters.generate()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": REDIRECT,
        "code_challenge": proof.code_challenge,
        "code_challenge_method": "S256",
        "state": "a b",
        "resource": server.url,
        **changed,
    }
    asked = {name: value for name, value in query.items() if value is not None}
    answer = httpx.get(f"{server.origin}/authorize", params=asked)
    answer.verifier = proof.code_verifier  # type: ignore[attr-defined]
    return answer


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:33418/callback/../evil",
        "http://127.0.0.1:33418/callback?x=1",
        "http://127.0.0.1:33419/callback",
        "http://localhost:33418/callback",
        "https://evil.example.com/",
    ],
)
def test_a_redirect_uri_that_is_not_registered_gets_nothing(
    local: Serving, client_id: str, uri: str
) -> None:
    answer = authorized(local, client_id, redirect_uri=uri)
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "borealis admin"}, "invalid_scope"),
        ({"resource": "https://other.example.com/mcp"}, "invalid_request"),
    ],
)
def test_a_request_that_asks_for_something_else_is_refused(
    local: Serving, client_id: str, changed: dict[str, str | None], error: str
) -> None:
    answer = authorized(local, client_id, **changed)
    came = parse_qs(urlsplit(answer.headers["location"]).query)
    assert answer.headers["location"].startswith(REDIRECT)
    assert (came["error"], came["state"], came["iss"]) == ([error], ["a b"], [local.origin])


def consented(answer: httpx.Response, passphrase: str = PASSPHRASE) -> httpx.Response:
    where = answer.headers["location"]
    name = parse_qs(urlsplit(where).query)["request"][0]
    form = {"request": name, "passphrase": passphrase, "answer": "yes"}
    return httpx.post(where.partition("?")[0], data=form)


def with_code(server: Serving, client_id: str) -> tuple[str, str]:
    """A code, and the verifier that goes with it."""
    asked = authorized(server, client_id)
    query = parse_qs(urlsplit(consented(asked).headers["location"]).query)
    return query["code"][0], asked.verifier  # type: ignore[attr-defined]


def exchanged(server: Serving, **form: str) -> httpx.Response:
    asked = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, **form}
    return httpx.post(f"{server.origin}/token", data=asked)


def test_a_code_is_worth_nothing_without_its_verifier_client_and_redirect_uri(
    local: Serving, client_id: str
) -> None:
    code, verifier = with_code(local, client_id)
    other = registered(local, REDIRECT).json()["client_id"]
    right = {"code": code, "code_verifier": verifier, "client_id": client_id}
    for wrong in (
        {"code_verifier": "x" * 43},
        {"client_id": other},
        {"redirect_uri": "http://127.0.0.1:33418/other"},
        {"code": code + "x"},
    ):
        assert exchanged(local, **{**right, **wrong}).status_code == 400
    without = {name: value for name, value in right.items() if name != "code_verifier"}
    assert exchanged(local, **without).status_code == 400
    token = exchanged(local, **right).json()["access_token"]
    assert initialized(local, token).status_code == 200
    assert exchanged(local, **right).json()["error"] == "invalid_grant"
    assert initialized(local, token).status_code == 401


def test_a_token_is_for_this_server_alone(local: Serving, client_id: str) -> None:
    code, verifier = with_code(local, client_id)
    right = {"code": code, "code_verifier": verifier, "client_id": client_id}
    refused = exchanged(local, **right, resource="https://other.example.com/mcp")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert exchanged(local, **right, resource=local.url).status_code == 200


def test_a_token_that_was_revoked_is_worth_nothing(local: Serving, client_id: str) -> None:
    code, verifier = with_code(local, client_id)
    made = exchanged(local, code=code, code_verifier=verifier, client_id=client_id).json()
    assert initialized(local, made["access_token"]).status_code == 200
    form = {"token": made["refresh_token"], "client_id": client_id, "client_secret": ""}
    httpx.post(f"{local.origin}/revoke", data=form)
    assert initialized(local, made["access_token"]).status_code == 401


def test_a_session_is_of_who_opened_it(local: Serving, client_id: str) -> None:
    code, verifier = with_code(local, client_id)
    token = exchanged(local, code=code, code_verifier=verifier, client_id=client_id).json()
    session = {"mcp-session-id": initialized(local, PASSPHRASE).headers["mcp-session-id"]}
    assert initialized(local, token["access_token"], **session).status_code in (403, 404)


def test_a_person_who_says_no_is_heard_from_the_issuer(local: Serving, client_id: str) -> None:
    asked = authorized(local, client_id, state="")
    name = parse_qs(urlsplit(asked.headers["location"]).query)["request"][0]
    answer = httpx.post(f"{local.origin}/consent", data={"request": name, "answer": "no"})
    came = parse_qs(urlsplit(answer.headers["location"]).query, keep_blank_values=True)
    assert came == {"error": ["access_denied"], "state": [""], "iss": [local.origin]}


@pytest.mark.parametrize("path", ["/consent", "/authorize", "/token"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_form_has_an_end(local: Serving, path: str, declared: bool) -> None:
    body = b"request=" + b"x" * FORM_BYTES_MAX
    answer = httpx.post(
        f"{local.origin}{path}",
        content=body if declared else iter([body]),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 413


def test_a_pass_phrase_of_odd_characters_is_a_wrong_one(local: Serving, client_id: str) -> None:
    asked = authorized(local, client_id)
    where = asked.headers["location"]
    name = parse_qs(urlsplit(where).query)["request"][0]
    parts = {"request": name, "answer": "yes", "passphrase": "\\ud800"}
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n{value}\r\n'
        for part, value in parts.items()
    )
    answer = httpx.post(
        where.partition("?")[0],
        content=f"{body}--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x; charset=unicode_escape"},
    )
    assert answer.status_code == 403


def test_a_client_cannot_nest_what_nobody_can_read_again(local: Serving) -> None:
    nested = "[" * 3000 + "]" * 3000
    body = f'{{"redirect_uris": ["{REDIRECT}"], "jwks": {nested}}}'
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{local.origin}/register", content=body, headers=headers)
    assert answer.status_code == 400


def test_a_page_in_a_frame_without_an_origin_answers_for_nobody(
    local: Serving, client_id: str
) -> None:
    asked = authorized(local, client_id)
    answer = httpx.post(asked.headers["location"], headers={"Origin": "null"})
    assert answer.status_code == 403


def test_pass_phrases_cannot_be_tried_without_end(local: Serving, client_id: str) -> None:
    asked = authorized(local, client_id)
    tried = [consented(asked, f"guess-{n}").status_code for n in range(6)]
    assert tried == [403, 403, 403, 403, 400, 400]
    assert consented(asked).status_code == 400


def test_the_page_stands_in_no_frame_runs_no_script_and_is_kept_nowhere(
    local: Serving, client_id: str
) -> None:
    page = httpx.get(authorized(local, client_id).headers["location"])
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "same-origin"
    assert (page.headers["cache-control"], page.headers["x-frame-options"]) == ("no-store", "DENY")
    odd = httpx.get(f"{local.origin}/consent", params={"request": '"><script>alert(1)</script>'})
    assert odd.status_code == 400
    assert "<script>" not in odd.text


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
