"""Tokens of pages: how far the client has read, and up to when, so that what comes later does not
move what was before. Opaque to clients, and checked when they come back. Pure.
"""

import base64
import binascii
import json
from datetime import UTC, datetime

from cluster_runtime.api.refusals import RefusedRequestError


def token_of(read: int, until: datetime) -> str:
    """The token of the page that begins behind `read` entries. until: aware."""
    said = json.dumps([read, until.timestamp()], separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).decode()


def read_token(token: str) -> tuple[int, datetime]:
    """What a token says. Raises RefusedRequestError for a foreign one."""
    try:
        read, until = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        if not isinstance(read, int) or read < 0:
            raise ValueError(read)
        return read, datetime.fromtimestamp(until, UTC)
    except (binascii.Error, ValueError, TypeError, OverflowError, OSError) as error:
        raise RefusedRequestError(
            "The next token is none that was given here", fault="InvalidNextToken"
        ) from error
