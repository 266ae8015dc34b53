"""What is said of an endpoint: a libpq URI, its parts, and the variables that programs read."""

import shlex
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

URL_VARIABLE = "DATABASE_URL"


def with_password(dsn: str, password: str) -> str:
    """A URI with another password."""
    parts = urlsplit(dsn)
    user, _, place = parts.netloc.rpartition("@")
    named = f"{user.partition(':')[0]}:{quote(password, safe='')}@{place}"
    return urlunsplit(parts._replace(netloc=named))


def parts_of(dsn: str) -> dict[str, str | int]:
    """The parts of a URI, by libpq's keywords, after the URI itself."""
    split = urlsplit(dsn)
    return {
        "url": dsn,
        "host": split.hostname or "",
        "port": split.port or 5432,
        "user": unquote(split.username or ""),
        "password": unquote(split.password or ""),
        "dbname": unquote(split.path.removeprefix("/")),
        **dict(parse_qsl(split.query)),
    }


def variables(dsn: str) -> dict[str, str]:
    """The environment that libpq's clients read, and `DATABASE_URL` for others."""
    from mcp_server.cli.shell import environment_of

    return {**environment_of(dsn), URL_VARIABLE: dsn}


def lines(environment: dict[str, str]) -> str:
    """Assignments as a shell reads them, and `.env` files have them."""
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in environment.items())
