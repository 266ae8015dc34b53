"""From options to who may come in."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mcp_server.access.doors import Access, by_file, by_issuer, by_local
from mcp_server.access.kept import Kept
from mcp_server.access.local import LocalIssuer
from mcp_server.access.urls import checked_url
from mcp_server.errors import ScopeError

TOKEN_CHARACTERS_MIN = 16
LOCAL = "local"
"""As an issuer: the authorization server in this process."""


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """Who may use a server over HTTP. Without any, whoever can open a connection.

    token_file: its content lets in who sends it as a bearer token. oauth: an issuer whose tokens
    do, or "local". resource: the URL that clients know the server by, and tokens are for; by
    default its own. scopes: what an external issuer's tokens must have.
    """

    token_file: Path | None = None
    oauth: str | None = None
    resource: str | None = None
    scopes: tuple[str, ...] = ()

    def check(self, *, http: bool) -> None:
        """Raises ScopeError for options that do not go together."""
        given = {
            "--token-file": self.token_file,
            "--oauth": self.oauth,
            "--oauth-resource": self.resource,
            "--oauth-scope": self.scopes,
        }
        named = [name for name, value in given.items() if value]
        if named and not http:
            raise ScopeError(
                f"{named[0]} needs --http: over standard input there is only one client"
            )
        if (self.resource or self.scopes) and not self.oauth:
            raise ScopeError(f"{named[0]} needs --oauth ISSUER")
        if self.oauth == LOCAL and self.scopes:
            raise ScopeError("--oauth-scope is for an external issuer; --oauth local has one scope")
        if self.oauth == LOCAL and self.token_file is None:
            raise ScopeError(
                "--oauth local needs --token-file FILE: its content is the pass phrase that lets a "
                "client in"
            )

    def opened(self, address: str) -> Access | None:
        """Who comes in to a server at an address (a URL); None for all. Raises ScopeError."""
        token = _token(self.token_file) if self.token_file is not None else None
        resource = self.known_by(address)
        if self.oauth == LOCAL and self.token_file is not None and token is not None:
            parts = urlsplit(resource)
            issuer = f"{parts.scheme}://{parts.netloc}"
            file = self.token_file.expanduser()
            kept = Kept(file.with_name(f"{file.name}.clients"), issuer, token)
            return by_local(LocalIssuer(resource, kept), token)
        if self.oauth is not None:
            issuer = checked_url(self.oauth, "--oauth")
            return by_issuer(issuer, resource, self.scopes, token)
        return None if token is None else by_file(token)

    def known_by(self, address: str) -> str:
        """The URL that clients know a server at an address by. Raises ScopeError."""
        return address if self.resource is None else checked_url(self.resource, "--oauth-resource")


def _token(file: Path) -> str:
    try:
        token = file.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ScopeError(f"cannot read the token file {file}: {error}") from error
    if len(token) < TOKEN_CHARACTERS_MIN:
        raise ScopeError(
            f"the token in {file} is too short to be a secret; make one with: "
            'python3 -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return token
