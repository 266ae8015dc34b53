"""Servers with OAuth as processes, an issuer of others, and a person with a browser."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
import pytest
import uvicorn
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mcp_server.access.opening import AccessOptions
from mcp_server.server import address_of, http_application, listen
from tests.mcp_server.access.keys import RSA, jwk
from tests.mcp_server.conformance.fixture import build
from tests.mcp_server.processes import http_server

PASSPHRASE = "correct-horse-battery-staple"
REDIRECT = "http://127.0.0.1:33418/callback"


@dataclass
class Serving:
    """A server. token_file: holds the pass phrase. said: on standard error, all at its end."""

    url: str
    token_file: Path
    said: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return self.url.removesuffix("/mcp")


@contextmanager
def in_a_thread(application: Any, listener: Any) -> Iterator[None]:
    """Serve an application in this process."""
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(
    folder: Path, port: int = 0, passphrase: str = PASSPHRASE, **options: Any
) -> Iterator[Serving]:
    """A server with two tools, behind the doors that `AccessOptions` make of these options."""
    token_file = folder / "token"
    token_file.write_text(passphrase + "\n")
    with listen("127.0.0.1", port) as listener:
        address = address_of(listener)
        access = AccessOptions(token_file, **options)
        access.check(http=True)
        taken = listener.getsockname()[1]
        app = http_application(build(), taken, access.opened(address), access.known_by(address))
        with in_a_thread(app, listener):
            yield Serving(address, token_file)


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[Serving]:
    """`borealis mcp --http` as a process."""
    token_file = folder / "token"
    token_file.write_text(PASSPHRASE + "\n")
    own = ("--state-dir", str(folder / "state"), "--hosted-by", "process")
    with http_server(*own, "--token-file", str(token_file), *arguments) as served:
        yield Serving(served.url, token_file, served.said)


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


def initialized(server: Serving, token: str | None, **headers: str) -> httpx.Response:
    """How a server answers a client that shows a token."""
    shown = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.post(server.url, json=INITIALIZE, headers={**ACCEPT, **shown, **headers})


@dataclass
class Storage:
    """What a client keeps."""

    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@dataclass
class Person:
    """Sits before a browser, and answers on the page that a client opens."""

    passphrase: str = PASSPHRASE
    answer: str = "yes"
    pages: list[str] = field(default_factory=list)
    came: dict[str, str] = field(default_factory=dict)

    async def opens(self, url: str) -> None:
        """Follow a client's link, and decide."""
        async with httpx.AsyncClient() as browser:
            asked = await browser.get(url)
            if asked.status_code != 302 or urlsplit(asked.headers["location"]).path != "/consent":
                self._comes_back(asked)
                return
            where = asked.headers["location"]
            page = await browser.get(where)
            self.pages.append(page.text)
            name = re.search(r'name="request" value="([^"]+)"', page.text)[1]
            form = {"request": name, "passphrase": self.passphrase, "answer": self.answer}
            self._comes_back(await browser.post(where, data=form))

    def _comes_back(self, answered: httpx.Response) -> None:
        query = parse_qs(urlsplit(answered.headers.get("location", "")).query)
        self.came = {name: values[0] for name, values in query.items()}

    async def answered(self) -> AuthorizationCodeResult:
        """What the client hears."""
        return AuthorizationCodeResult(
            code=self.came.get("code", ""),
            state=self.came.get("state"),
            iss=self.came.get("iss"),
        )


def signing_in(url: str, person: Person, storage: Storage) -> OAuthClientProvider:
    """The authorization of a real client."""
    return OAuthClientProvider(
        url,
        OAuthClientMetadata(client_name="An <b>editor</b>", redirect_uris=[REDIRECT]),
        storage,
        person.opens,
        person.answered,
    )


@dataclass
class OtherIssuer:
    """An authorization server of somebody else's, with its keys.

    silent: says nothing of its keys until that is set; heard: somebody waits for them.
    """

    url: str = ""
    asked: list[str] = field(default_factory=list)
    scope: str = "db"
    silent: threading.Event | None = None
    heard: threading.Event = field(default_factory=threading.Event)
    keys: list[Any] = field(default_factory=lambda: [jwk(RSA, "one", alg="RS256")])

    def token(self, private: Any = RSA, kid: str = "one", **changed: Any) -> str:
        claims = {"iss": self.url, "sub": "ada", "scope": self.scope, "exp": time.time() + 600}
        return jwt.encode({**claims, **changed}, private, "RS256", {"kid": kid, "typ": "at+jwt"})

    def application(self) -> Starlette:
        async def metadata(_: Request) -> Response:
            return JSONResponse(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    "response_types_supported": ["code"],
                    "grant_types_supported": ["client_credentials"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                }
            )

        async def keys(_: Request) -> Response:
            self.asked.append("keys")
            if self.silent is not None:
                self.heard.set()
                await run_in_threadpool(self.silent.wait)
            return JSONResponse({"keys": self.keys})

        async def token(request: Request) -> Response:
            form = await request.form()
            self.asked.append(str(form["resource"]))
            made = self.token(aud=form["resource"], client_id="robot")
            return JSONResponse({"access_token": made, "token_type": "Bearer", "expires_in": 600})

        return Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", metadata),
                Route("/keys", keys),
                Route("/token", token, methods=["POST"]),
            ]
        )


@pytest.fixture(scope="module")
def other_issuer() -> Iterator[OtherIssuer]:
    made = OtherIssuer()
    with listen("127.0.0.1", 0) as listener:
        made.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with in_a_thread(made.application(), listener):
            yield made


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(tmp_path_factory.mktemp("local"), oauth="local") as found:
        yield found


@pytest.fixture(scope="module")
def client_id(local: Serving) -> str:
    facts = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    return httpx.post(f"{local.origin}/register", json=facts).json()["client_id"]
