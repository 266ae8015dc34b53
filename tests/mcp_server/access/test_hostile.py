"""The authorization server in the process, with attackers."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from mcp_server.access.local import FORM_BYTES_MAX
from tests.mcp_server.access.conftest import PASSPHRASE, REDIRECT, Serving, initialized
from tests.mcp_server.access.flows import (
    authorized,
    consented,
    exchanged,
    registered,
    with_code,
)


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


def test_a_session_is_of_who_opened_it(local: Serving, client_id: str) -> None:
    code, verifier = with_code(local, client_id)
    token = exchanged(local, code=code, code_verifier=verifier, client_id=client_id).json()
    session = {"mcp-session-id": initialized(local, PASSPHRASE).headers["mcp-session-id"]}
    assert initialized(local, token["access_token"], **session).status_code in (403, 404)


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
