"""The `options` of a startup message: what the gateway takes out of them, and what it puts in.

Source: PostgreSQL 18, `pg_split_opts` (init/postinit.c) and `process_postgres_switches`
(tcop/postgres.c): words at white space, a backslash before what belongs to a word; `-c name=value`,
`-cname=value` or `--name=value`.
"""

import re

_WORD = re.compile(r"(?:\\.|[^\\ \t\n\r\f\v])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TO_ESCAPE = re.compile(r"([\\ \t\n\r\f\v])")

AUTH_PARAMETER = "borealis.auth"
"""How a client says what it will prove itself with, where its role could use either."""

ENDPOINT_PARAMETER = "endpoint"
"""How a client says which endpoint it means; in `options` also as a word of its own, without -c,
for no switch of a server process looks like that."""

DURABLE_COMMITS = "-c synchronous_commit=on"
"""Put before a client's own options: it outweighs what ALTER ROLE and ALTER DATABASE say, and the
client's options, its startup parameters and SET outweigh it."""


READ_ONLY = "default_transaction_read_only"


def read_only(parameters: dict[str, str]) -> dict[str, str]:
    """The parameters of a startup message whose session begins READ ONLY, whatever they ask for."""
    _, rest = take(parameters, READ_ONLY)
    return {**rest, "options": f"{rest.get('options', '')} -c {READ_ONLY}=on".lstrip()}


def durable(parameters: dict[str, str]) -> dict[str, str]:
    """The parameters of a startup message for the server, with `DURABLE_COMMITS` among them."""
    options = f"{DURABLE_COMMITS} {parameters.get('options', '')}".rstrip()
    return {**parameters, "options": options}


def take(parameters: dict[str, str], name: str) -> tuple[str | None, dict[str, str]]:
    """The value of a setting of the startup message, None without one; and the rest of it.

    As with PostgreSQL the last one in `options` counts, and a parameter of its own more than that.
    name: in lower case.
    """
    rest = {key: value for key, value in parameters.items() if key.lower() != name}
    own = next((value for key, value in parameters.items() if key.lower() == name), None)
    value, options = _take_option(
        parameters.get("options", ""), name, alone=name == ENDPOINT_PARAMETER
    )
    if value is not None:
        rest["options"] = options
    return (own if own is not None else value), rest


def _take_option(options: str, name: str, *, alone: bool) -> tuple[str | None, str]:
    words = [_ESCAPED.sub(r"\1", word) for word in _WORD.findall(options)]
    kept: list[str] = []
    found: str | None = None
    position = 0
    while position < len(words):
        word = words[position]
        used = 2 if word == "-c" and position + 1 < len(words) else 1
        setting = words[position + 1] if used == 2 else _setting(word, alone)
        key, equals, value = setting.partition("=")
        if equals and key.lower().replace("-", "_") == name:
            found = value
        else:
            kept += words[position : position + used]
        position += used
    if found is None:
        return None, options
    return found, " ".join(_TO_ESCAPE.sub(r"\\\1", word) for word in kept)


def _setting(word: str, alone: bool) -> str:
    for switch in ("--", "-c"):
        if word.startswith(switch):
            return word[2:]
    return word if alone and not word.startswith("-") else ""
