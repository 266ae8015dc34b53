"""A small authorization server in this process, for people and programs of this machine.

Clients register themselves; a person lets each in, on a page that asks for a pass phrase: the
content of the token file. The rules are in `grants` and `redirects`, the endpoints are the SDK's.

Source: Model Context Protocol specification, "Authorization"; RFC 7591, RFC 9207, RFC 8707.
"""

import hmac
import time
from collections import OrderedDict
from urllib.parse import urlencode, urlsplit, urlunsplit

import anyio
from anyio import to_thread
from mcp.server.auth.handlers.metadata import MetadataHandler
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
from mcp.server.auth.routes import build_metadata, cors_middleware, create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyUrl
from starlette.routing import Route

from mcp_server.access.grants import ACCESS_SECONDS, Asked, Grants, Issued
from mcp_server.access.kept import Kept
from mcp_server.access.redirects import wrong_redirect
from mcp_server.access.urls import as_url, same

SCOPE = "borealis"
"""The one right that there is: what a server may do, its own options decide."""
CLIENTS_MAX = 200
CLIENT_CHARACTERS_MAX = 8192
CONSENT_PATH = "/consent"
METADATA_PATH = "/.well-known/oauth-authorization-server"
REGISTRATION = ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE], default_scopes=[SCOPE])
REVOCATION = RevocationOptions(enabled=True)


class LocalIssuer(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Lets clients in that a person allowed. issuer, resource: its URL, and the server's."""

    def __init__(self, issuer: str, resource: str, passphrase: str, kept: Kept) -> None:
        self.issuer = issuer
        self.resource = resource
        self._passphrase = passphrase.encode()
        self._kept = kept
        self._keeping = anyio.Lock()
        self.clients, refresh = kept.read()
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
            *(each for each in made if each.path != METADATA_PATH),
        ]

    def knows(self, passphrase: str) -> bool:
        """Whether somebody knows the pass phrase."""
        return hmac.compare_digest(passphrase.strip().encode(), self._passphrase)

    def answered(self, asked: Asked, **answer: str) -> str:
        """Where a client hears what became of its request; it says who answers (RFC 9207)."""
        said = {**answer, **({"state": asked.state} if asked.state else {}), "iss": self.issuer}
        parts = urlsplit(asked.redirect_uri)
        query = "&".join(filter(None, [parts.query, urlencode(said)]))
        return urlunsplit(parts._replace(query=query))

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
        await self._keep()

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        """The page on which a person decides. Raises AuthorizeError for another resource."""
        if params.resource is not None and not same(params.resource, self.resource):
            raise AuthorizeError(
                "invalid_request", f"this server gives tokens for {self.resource} alone"
            )
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
        if self.grants.changed:
            self.grants.changed = False
            await self._keep()

    async def _keep(self) -> None:
        async with self._keeping:  # so that what is written last is the latest
            clients, refresh = OrderedDict(self.clients), OrderedDict(self.grants.refresh)
            await to_thread.run_sync(self._kept.write, clients, refresh)
