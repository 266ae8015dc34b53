"""Text and fields without the secrets in them, for what is written down or sent elsewhere.

No event is meant to have one. This stands behind that: for messages of other packages, for
tracebacks, and for the event of tomorrow.
"""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
_NAME = r"[\w-]*(?:password|passwd|secret|token|authorization|private_?key|verifier)[\w-]*"
_NAMES = re.compile(rf"{_NAME}\Z", re.IGNORECASE)
_NOT_SECRET = ("_arn", "_file", "_id", "_path", "_type")
"""How names end of what only points at a secret, or describes it."""
_PATTERNS = (
    # Key blocks first: their lines look like nothing else.
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL),
    re.compile(r"(SCRAM-SHA-256\$)[^\s\"',]+"),
    # An IAM token is a signed URL; without these two it opens nothing.
    re.compile(r"(X-Amz-(?:Signature|Security-Token)=)[^&\s\"']+", re.IGNORECASE),
    re.compile(r"(AWS4-HMAC-SHA256\b[^\n\"']*?Signature=)[0-9a-f]+"),
    re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s@/\"']+(?=@)", re.IGNORECASE),
    re.compile(r"(\b(?:Bearer|Basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"(\bpassword\s+)'(?:[^']|'')*'", re.IGNORECASE),
    re.compile(
        rf"(\b{_NAME}\\?[\"']?\s*[=:]\s*)"
        r"""(?:\\"(?:[^"\\]|\\[^"])*\\"|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'"""
        r"""|(?:(?:Bearer|Basic)\s+)?[^\s,;&)}\]"']+)""",
        re.IGNORECASE,
    ),
)


def redacted(text: str) -> str:
    """The text with `***` in place of passwords, tokens, keys and signatures."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def redacted_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields whose values hold no secret: those that are named like one, and text with one in it.

    Numbers stay: `token_count=3` is none.
    """
    return {
        name: HIDDEN if _is_secret(name) and isinstance(value, str | bytes) else _value(value)
        for name, value in fields.items()
    }


def _is_secret(name: str) -> bool:
    return bool(_NAMES.match(name)) and not name.lower().endswith(_NOT_SECRET)


def _value(value: Any) -> Any:
    match value:
        case str():
            return redacted(value)
        case Mapping():
            return redacted_fields({str(name): each for name, each in value.items()})
        case list() | tuple() | set() | frozenset():
            return [_value(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return redacted(str(value))
