"""The token that a monitoring system shows to read metrics, and nothing else with it.

Prometheus signs no requests: it sends what is in a file (`authorization.credentials_file`).
"""

import hmac
import os
import secrets
from pathlib import Path

TOKEN_FILE = "metrics-token"
_SCHEME = "bearer "


class MetricsToken:
    """Of a state directory. The token itself is shown to nobody."""

    def __init__(self, token: str | None) -> None:
        """token: None for none, which nothing fits."""
        self._token = token

    @classmethod
    def of(cls, state_dir: Path) -> "MetricsToken":
        """That in its file `metrics-token` (0600), made where there is none. Raises OSError."""
        path = state_dir / TOKEN_FILE
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            token = path.read_text(encoding="ascii").strip()
            return cls(token or None)
        token = secrets.token_urlsafe(32)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{token}\n")
        return cls(token)

    def fits(self, authorization: str) -> bool | None:
        """Whether a header shows it; None for a header of another scheme."""
        if not authorization.lower().startswith(_SCHEME):
            return None
        given = authorization[len(_SCHEME) :].strip()
        known = self._token if self._token is not None else secrets.token_urlsafe(32)
        return hmac.compare_digest(known.encode(), given.encode()) and self._token is not None
