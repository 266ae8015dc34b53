"""The token that a monitoring system shows to read metrics, and nothing else with it.

Prometheus signs no requests: it sends what is in a file (`authorization.credentials_file`).
"""

import hmac
import secrets
from pathlib import Path

from cluster_runtime.engine.system.files import write_atomically
from cluster_runtime.logs import get_logger

TOKEN_FILE = "metrics-token"
_SCHEME = "bearer"

_log = get_logger(__name__)


class MetricsToken:
    """Of a state directory. The token itself is shown to nobody."""

    def __init__(self, token: str | None) -> None:
        """token: None for none, which nothing fits."""
        self._token = token

    @classmethod
    def of(cls, state_dir: Path) -> "MetricsToken":
        """That in its file `metrics-token` (0600), made where there is none.

        Where it can be neither read nor made, the log says so, and nothing fits.
        """
        path = state_dir / TOKEN_FILE
        try:
            token = path.read_text(encoding="ascii").strip() if path.exists() else ""
            if not token:
                token = secrets.token_urlsafe(32)
                write_atomically(path, f"{token}\n")
        except (OSError, UnicodeError) as error:
            _log.error("no token to read metrics with", file=str(path), error=str(error))
            return cls(None)
        return cls(token)

    def fits(self, authorization: str) -> bool | None:
        """Whether a header shows it; None for a header of another scheme."""
        scheme, _, given = authorization.strip().partition(" ")
        if scheme.lower() != _SCHEME:
            return None
        known = self._token or secrets.token_urlsafe(32)
        return hmac.compare_digest(known.encode(), given.strip().encode())
