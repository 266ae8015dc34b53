"""Where an authorization may send its answer. Pure.

Source: RFC 8252 (native apps), RFC 9700 section 4.1 (redirect URIs).
"""

from urllib.parse import urlsplit

from mcp_server.access.urls import is_loopback

APPS = frozenset(
    {
        "cursor",
        "vscode",
        "vscode-insiders",
        "vscodium",
        "windsurf",
        "zed",
        "claude",
        "goose",
        "kiro",
    }
)
"""Schemes that editors register for themselves, and that have no dot in them."""


def wrong_redirect(uri: str) -> str | None:
    """What is wrong with a redirect URI; None where nothing is.

    https, this machine itself, and schemes of applications: one that leads an answer elsewhere
    over plain HTTP, or has a browser run or read something, is none.
    """
    try:
        parts = urlsplit(uri)
        host = parts.hostname
    except ValueError:
        return "it is no URL"
    if parts.fragment or "#" in uri:
        return "it has a fragment"
    if parts.username is not None or parts.password is not None:
        return "it has a user in it, which hides where it leads"
    if "*" in parts.netloc or "\\" in uri:
        return "it does not say exactly where it leads"
    match parts.scheme:
        case "https":
            return None if host else "it names no host"
        case "http":
            return None if is_loopback(host) else "without TLS it may lead to this machine only"
        case scheme if scheme in APPS or "." in scheme:
            return None
        case scheme:
            return f"{scheme!r} is no scheme of an application"
