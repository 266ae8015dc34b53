"""What stands before a server over HTTP: names that it answers to, and who may come in.

Everything is refused that does not show a good token, but what says how to get one.

Source: Model Context Protocol specification, "Authorization"; RFC 6750, RFC 9728.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, ProviderTokenVerifier, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, create_protected_resource_routes
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_server.access.consent import consent_route
from mcp_server.access.issuers import Issuer
from mcp_server.access.local import SCOPE, LocalIssuer
from mcp_server.access.urls import as_url

BY_FILE = "token file"
"""The client of whoever shows the content of the token file."""


class ByFile:
    """Knows one token: the content of the token file. scopes: what it stands for, all there is."""

    def __init__(self, token: str, scopes: Sequence[str] = ()) -> None:
        self._token = token.encode()
        self._scopes = list(scopes)

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who shows it, or None."""
        if not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token):
            return None
        return AccessToken(token=token, client_id=BY_FILE, scopes=self._scopes)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Lets in whom one of several lets in."""

    verifiers: tuple[TokenVerifier, ...]

    async def verify_token(self, token: str) -> AccessToken | None:
        """Who shows it, or None."""
        for each in self.verifiers:
            if (found := await each.verify_token(token)) is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class Access:
    """Who comes in, and what is open to all. metadata_url: where it stands who gives tokens."""

    verifier: TokenVerifier
    scopes: tuple[str, ...] = ()
    metadata_url: AnyHttpUrl | None = None
    routes: tuple[BaseRoute, ...] = ()


def by_file(token: str) -> Access:
    """For who knows the token file alone."""
    return Access(ByFile(token))


def by_issuer(issuer: str, resource: str, scopes: tuple[str, ...], token: str | None) -> Access:
    """For tokens of an external issuer. token: also the content of a token file."""
    verifiers: list[TokenVerifier] = [] if token is None else [ByFile(token, scopes)]
    return Access(
        AnyOf((*verifiers, Issuer(issuer, resource))),
        scopes,
        build_resource_metadata_url(as_url(resource)),
        _metadata(resource, issuer, scopes),
    )


def by_local(local: LocalIssuer, token: str) -> Access:
    """For tokens of the authorization server in this process, and the pass phrase itself."""
    return Access(
        AnyOf((ByFile(token, (SCOPE,)), ProviderTokenVerifier(local))),
        (SCOPE,),
        build_resource_metadata_url(as_url(local.resource)),
        (
            *_metadata(local.resource, local.issuer, (SCOPE,)),
            *local.routes(),
            consent_route(local),
        ),
    )


def _metadata(resource: str, issuer: str, scopes: tuple[str, ...]) -> tuple[BaseRoute, ...]:
    return tuple(
        create_protected_resource_routes(
            as_url(resource), [as_url(issuer)], list(scopes) or None, "Borealis"
        )
    )


def guarded(app: Starlette, names: TransportSecuritySettings, access: Access | None) -> ASGIApp:
    """An application behind its doors. names: the hosts and origins that it answers to."""
    if access is None:
        return OwnNames(app, names)
    inside = RequireAuthMiddleware(app, list(access.scopes), access.metadata_url)
    known = AuthenticationMiddleware(
        AuthContextMiddleware(inside), backend=BearerAuthBackend(access.verifier)
    )
    outside = Starlette(routes=[*access.routes, Mount("/", known)])
    outside.router.lifespan_context = app.router.lifespan_context
    return OwnNames(outside, names)


class OwnNames:
    """Refuses requests under another name, on every path (DNS rebinding), and WebSockets.

    Nothing here speaks those, and browsers open them from any page.
    """

    def __init__(self, app: ASGIApp, names: TransportSecuritySettings) -> None:
        self._app = app
        self._names = TransportSecurityMiddleware(names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 421 or 403."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it was accepted: 403
            return
        if scope["type"] == "http":
            refusal = await self._names.validate_request(Request(scope))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
