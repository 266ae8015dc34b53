"""A small authorization server in this process, for people and programs of this machine.

Clients register themselves; a person lets each in, on a page that asks for a pass phrase: the
content of the token file. The rules are in `grants` and `redirects`, the endpoints are the SDK's.

Source: Model Context Protocol specification, "Authorization"; RFC 7591, RFC 9207, RFC 8707.
"""

import hmac
import time
from collections import OrderedDict
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
from anyio import to_thread
from mcp.server.auth.handlers.authorize import AuthorizationHandler
from mcp.server.auth.handlers.metadata import MetadataHandler
from mcp.server.auth.handlers.token import TokenHandler
from mcp.server.auth.middleware.client_auth import ClientAuthenticator
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    RegistrationError,
    TokenError,
)
from mcp.server.auth.routes import (
    AUTHORIZATION_PATH,
    TOKEN_PATH,
    build_metadata,
    cors_middleware,
    create_auth_routes,
)
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyUrl
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from mcp_server.access.grants import ACCESS_SECONDS, Asked, Grants, Issued
from mcp_server.access.kept import Kept
from mcp_server.access.redirects import wrong_redirect
from mcp_server.access.urls import as_url, same, with_query

SCOPE = "borealis"
"""The one right that there is: what a server may do, its own options decide."""
CLIENTS_MAX = 200
CLIENT_CHARACTERS_MAX = 8192
FORM_BYTES_MAX = 8192
"""Of what a browser sends, for a client or a person."""
CONSENT_PATH = "/consent"
METADATA_PATH = "/.well-known/oauth-authorization-server"
OWN_PATHS = (METADATA_PATH, AUTHORIZATION_PATH, TOKEN_PATH)
REGISTRATION = ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE], default_scopes=[SCOPE])
REVOCATION = RevocationOptions(enabled=True)


class LocalIssuer(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Lets clients in that a person allowed. issuer, resource: its URL, and the server's.

    Raises ScopeError for what it kept earlier, if that is not its own.
    """

    def __init__(self, resource: str, kept: Kept) -> None:
        self.issuer = kept.issuer
        self.resource = resource
        self._passphrase = kept.passphrase.encode()
        self._kept = kept
        self._keeping = anyio.Lock()
        self.clients, refresh = kept.opened()
        self.grants = Grants(refresh)

    def routes(self) -> list[Route]:
        """Its endpoints. The metadata says what the SDK's would not."""
        url = as_url(self.issuer)
        metadata = build_metadata(url, None, REGISTRATION, REVOCATION)
        metadata.authorization_response_iss_parameter_supported = True
        metadata.token_endpoint_auth_methods_supported = [
            "none",
            *(metadata.token_endpoint_auth_methods_supported or ()),
        ]
        told = cors_middleware(MetadataHandler(metadata).handle, ["GET", "OPTIONS"])
        made = create_auth_routes(
            self, url, client_registration_options=REGISTRATION, revocation_options=REVOCATION
        )
        return [
            Route(METADATA_PATH, endpoint=told, methods=["GET", "OPTIONS"]),
            Route(AUTHORIZATION_PATH, endpoint=self._authorizing(), methods=["GET", "POST"]),
            Route(TOKEN_PATH, endpoint=self._giving(), methods=["POST", "OPTIONS"]),
            *(each for each in made if each.path not in OWN_PATHS),
        ]

    def _authorizing(self) -> ASGIApp:
        """The SDK's endpoint, whose errors too say whom they are of (RFC 9207)."""
        handler = AuthorizationHandler(self)

        async def handle(request: Request) -> Response:
            answer = await handler.handle(request)
            where = answer.headers.get("location", "")
            if "error" in parse_qs(urlsplit(where).query):
                answer.headers["location"] = with_query(where, {"iss": self.issuer})
            return answer

        return RequestBodyLimitMiddleware(request_response(handle), FORM_BYTES_MAX)

    def _giving(self) -> ASGIApp:
        """The SDK's endpoint, which would give who asks for another resource a token for this one.

        Source: RFC 8707 section 2.2.
        """
        handler = TokenHandler(self, ClientAuthenticator(self))

        async def handle(request: Request) -> Response:
            wanted = (await request.form()).getlist("resource")
            if not all(same(str(each), self.resource) for each in wanted):
                refusal = {"error": "invalid_target", "error_description": self._alone}
                return JSONResponse(refusal, 400, {"Cache-Control": "no-store"})
            answer: Response = await handler.handle(request)
            return answer

        open_to_pages = cors_middleware(handle, ["POST", "OPTIONS"])
        return RequestBodyLimitMiddleware(open_to_pages, FORM_BYTES_MAX)

    @property
    def _alone(self) -> str:
        return f"this server gives tokens for {self.resource} alone"

    def knows(self, passphrase: str) -> bool:
        """Whether somebody knows the pass phrase."""
        given = passphrase.strip().encode("utf-8", "surrogatepass")
        return hmac.compare_digest(given, self._passphrase)

    def answered(self, asked: Asked, **answer: str) -> str:
        """Where a client hears what became of its request; it says who answers (RFC 9207)."""
        state = {} if asked.state is None else {"state": asked.state}
        return with_query(asked.redirect_uri, {**answer, **state, "iss": self.issuer})

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        """A client that has registered."""
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Take a client in; it may do nothing yet. Raises RegistrationError."""
        if len(client_info.model_dump_json()) > CLIENT_CHARACTERS_MAX:
            raise RegistrationError("invalid_client_metadata", "there is too much of it")
        for uri in client_info.redirect_uris or ():
            if (wrong := wrong_redirect(str(uri))) is not None:
                raise RegistrationError("invalid_redirect_uri", wrong)
        while len(self.clients) >= CLIENTS_MAX:
            allowed = {grant.client_id for grant in self.grants.refresh.values()}
            rest = (each for each in self.clients if each not in allowed)
            del self.clients[next(rest, next(iter(self.clients)))]
        self.clients[client_info.client_id] = client_info
        self.grants.changed = True
        await self._keep_changes()

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        """The page on which a person decides. Raises AuthorizeError for another resource."""
        if params.resource is not None and not same(params.resource, self.resource):
            raise AuthorizeError("invalid_request", self._alone)
        asked = Asked(
            client.client_id,
            str(params.redirect_uri),
            params.redirect_uri_provided_explicitly,
            params.state,
            tuple(params.scopes or [SCOPE]),
            params.code_challenge,
        )
        name = self.grants.ask(asked, time.time())
        return f"{self.issuer}{CONSENT_PATH}?{urlencode({'request': name})}"

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        """What a code stands for, if it is this client's and was not used."""
        grant = self.grants.code(authorization_code)
        await self._keep_changes()
        if grant is None or grant.asked is None or grant.client_id != client.client_id:
            return None
        return AuthorizationCode(
            code=authorization_code,
            scopes=list(grant.scopes),
            expires_at=grant.until,
            client_id=grant.client_id,
            code_challenge=grant.asked.challenge,
            redirect_uri=AnyUrl(grant.asked.redirect_uri),
            redirect_uri_provided_explicitly=grant.asked.redirect_given,
            resource=self.resource,
        )

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        """Tokens for a code. Raises TokenError."""
        return await self._given(self.grants.redeem(authorization_code.code, time.time()))

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        """What a refresh token stands for, if it is this client's."""
        grant = self.grants.refreshable(refresh_token, time.time())
        await self._keep_changes()
        if grant is None or grant.client_id != client.client_id:
            return None
        return RefreshToken(
            token=refresh_token,
            client_id=grant.client_id,
            scopes=list(grant.scopes),
            expires_at=int(grant.until),
            resource=self.resource,
        )

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        """New tokens for a refresh token, which is used up. Raises TokenError."""
        renewed = self.grants.renew(refresh_token.token, tuple(scopes), time.time())
        return await self._given(renewed)

    async def load_access_token(self, token: str) -> AccessToken | None:
        """What an access token lets its bearer do."""
        grant = self.grants.access(token, time.time())
        if grant is None:
            return None
        return AccessToken(
            token=token,
            client_id=grant.client_id,
            scopes=list(grant.scopes),
            expires_at=int(grant.until),
            resource=self.resource,
            claims={"iss": self.issuer},
        )

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        """Take back a token, and all that came of the same consent."""
        now = time.time()
        grant = self.grants.access(token.token, now) or self.grants.refreshable(token.token, now)
        if grant is not None:
            self.grants.revoke(grant.family)
        await self._keep_changes()

    async def _given(self, issued: Issued | None) -> OAuthToken:
        await self._keep_changes()
        if issued is None:
            raise TokenError("invalid_grant", "it was used before")
        return OAuthToken(
            access_token=issued.access,
            expires_in=ACCESS_SECONDS,
            scope=" ".join(issued.scopes),
            refresh_token=issued.refresh,
        )

    async def _keep_changes(self) -> None:
        """Write what was not written. What fails is tried again with the next request."""
        async with self._keeping:  # so that what is written last is the latest
            if not self.grants.changed:
                return
            self.grants.changed = False
            clients, refresh = OrderedDict(self.clients), OrderedDict(self.grants.refresh)
            try:
                await to_thread.run_sync(self._kept.write, clients, refresh)
            except BaseException:
                self.grants.changed = True
                raise
