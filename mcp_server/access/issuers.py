"""An external issuer: where it publishes what, its keys, and tokens verified by them.

Source: RFC 8414 (metadata), OpenID Connect Discovery, RFC 7517 (key sets).
"""

import math
import time
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2
import structlog
from mcp.server.auth.provider import AccessToken

from mcp_server.access.tokens import Judge, Keys, TokenRefusedError, UnknownKeyError, signing_keys
from mcp_server.access.urls import checked_url
from mcp_server.errors import ScopeError

log = structlog.get_logger(__name__)

FETCH_SECONDS = 10
"""For all that is read of an issuer at one time, however slowly it answers."""
FETCH_BYTES_MAX = 1_000_000
KEYS_SECONDS = 3600.0
"""After that, keys are read again, and those withdrawn are good no longer."""
AGAIN_SECONDS = 30.0
"""Not more often than that is an issuer asked, whatever keys are named by whom."""


class IssuerError(Exception):
    """An issuer cannot be reached, or publishes what cannot be right. It says what."""


def metadata_urls(issuer: str) -> list[str]:
    """Where an issuer may publish its metadata, in the order in which they are asked."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    kinds = ("oauth-authorization-server", "openid-configuration")
    urls = [f"{origin}/.well-known/{kind}{path}" for kind in kinds]
    return [*urls, *([f"{origin}{path}/.well-known/{kinds[1]}"] if path else [])]


class Issuer:
    """Verifies tokens of one issuer; its keys are fetched, kept, and fetched again."""

    def __init__(self, issuer: str, resource: str) -> None:
        self.judge = Judge(issuer, resource)
        self._keys: Keys = {}
        self._read = self._asked = -math.inf
        self._fetching = anyio.Lock()

    async def verify_token(self, token: str) -> AccessToken | None:
        """What a token says, or None where it opens nothing."""
        try:
            return await self._verified(token)
        except TokenRefusedError as refused:
            log.info("mcp.token_refused", issuer=self.judge.issuer, reason=str(refused))
        except IssuerError as error:
            log.warning("mcp.issuer_not_reached", issuer=self.judge.issuer, reason=str(error))
        return None

    async def _verified(self, token: str) -> AccessToken:
        keys = await self._known_keys()
        try:
            return self.judge.verified(token, keys, time.time())
        except UnknownKeyError:
            # The issuer may have changed its keys since.
            return self.judge.verified(token, await self._read_again(AGAIN_SECONDS), time.time())

    async def _known_keys(self) -> Keys:
        """The issuer's keys, an hour old at most, if it can be asked.

        While it cannot, and while another call asks it, those that are known are good.
        Raises IssuerError where none is.
        """
        if self._keys and (self._fetching.locked() or not self._older_than(KEYS_SECONDS)):
            return self._keys
        return await self._read_again(KEYS_SECONDS)

    async def _read_again(self, age: float) -> Keys:
        """The issuer's keys, read again where they are older than that, in seconds, and it is time.

        Whoever comes meanwhile waits for what comes of it. Raises IssuerError where none is known.
        """
        async with self._fetching:
            now = time.monotonic()
            if self._older_than(age) and now - self._asked >= AGAIN_SECONDS:
                self._asked = now
                try:
                    self._keys = await published_keys(self.judge.issuer)
                    self._read = now
                except IssuerError:
                    if not self._keys:
                        raise
                    log.warning("mcp.keys_not_read_again", issuer=self.judge.issuer)
            return self._keys

    def _older_than(self, age: float) -> bool:
        return time.monotonic() - self._read >= age


async def published_keys(issuer: str) -> Keys:
    """The keys that an issuer publishes now. Raises IssuerError, also for one that is too slow."""
    try:
        with anyio.fail_after(FETCH_SECONDS):
            return await _published(issuer)
    except TimeoutError as error:
        raise IssuerError(f"{issuer} did not answer in {FETCH_SECONDS:g} s") from error


async def _published(issuer: str) -> Keys:
    async with httpx2.AsyncClient(timeout=FETCH_SECONDS, follow_redirects=False) as client:
        for url in metadata_urls(issuer):
            metadata = await _document(client, url)
            if metadata is not None:
                break
        else:
            raise IssuerError(f"{issuer} publishes no metadata")
        if metadata.get("issuer") != issuer:
            raise IssuerError(f"{url} is the metadata of another issuer")
        try:
            where = checked_url(str(metadata.get("jwks_uri")), "jwks_uri")
        except ScopeError as error:
            raise IssuerError(f"{url} names no keys: {error}") from error
        published = await _document(client, where)
    try:
        keys = signing_keys(published)
    except ValueError as error:
        raise IssuerError(f"{where} is no set of keys: {error}") from error
    if not keys:
        raise IssuerError(f"{where} has no key that verifies signatures")
    return keys


async def _document(client: httpx2.AsyncClient, url: str) -> dict[str, Any] | None:
    """A JSON object, or None where there is none. Raises IssuerError."""
    try:
        async with client.stream("GET", url) as answer:
            body = bytearray()
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > FETCH_BYTES_MAX:
                    raise IssuerError(f"{url} has no end")
            if answer.status_code != httpx2.codes.OK:
                return None
            told = httpx2.Response(200, content=bytes(body)).json()
    except (httpx2.HTTPError, ValueError) as error:
        raise IssuerError(f"{url} cannot be read: {type(error).__name__}") from error
    return told if isinstance(told, dict) else None
