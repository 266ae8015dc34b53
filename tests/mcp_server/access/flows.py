"""What a client sends to the local authorization server, step by step."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from mcp.client.auth.oauth2 import PKCEParameters

from tests.mcp_server.access.conftest import PASSPHRASE, REDIRECT, Serving


def renewed(server: Serving, client_id: str, refresh_token: str) -> httpx.Response:
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": client_id,
    }
    return httpx.post(f"{server.origin}/token", data=asked)


def registered(server: Serving, *uris: str, **more: Any) -> httpx.Response:
    facts = {"redirect_uris": list(uris), "token_endpoint_auth_method": "none", **more}
    return httpx.post(f"{server.origin}/register", json=facts)


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
