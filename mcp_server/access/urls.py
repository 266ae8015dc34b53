"""URLs of issuers and resources: what they may be, and how they are compared. Pure.

Source: RFC 8414 section 2, RFC 8707 section 2. Issuers are compared as strings, so none is changed.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter

from mcp_server.errors import ScopeError

_URL: TypeAdapter[AnyHttpUrl] = TypeAdapter(
    AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True)
)


def as_url(url: str) -> AnyHttpUrl:
    """A URL as the SDK takes it, without a slash that it did not have."""
    return _URL.validate_python(url)


def checked_url(url: str, what: str) -> str:
    """An http(s) URL; without TLS only on this machine. what: its name in the error.

    Raises ScopeError.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise ScopeError(f"{what} {url!r} is no URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ScopeError(f"{what} takes a URL such as https://login.example.com, not {url!r}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ScopeError(f"{what} takes a URL without user, query and fragment")
    if parts.scheme == "http" and not is_loopback(host):
        raise ScopeError(f"{what} needs https: {url} could be anybody's on the way")
    return url


def with_query(url: str, more: Mapping[str, str]) -> str:
    """A URL with more in its query."""
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(more)]))
    return urlunsplit(parts._replace(query=query))


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, whatever resolves names."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def same(one: str, other: str) -> bool:
    """Whether two URLs name the same resource: a slash at the end says nothing."""
    return one.removesuffix("/") == other.removesuffix("/")
