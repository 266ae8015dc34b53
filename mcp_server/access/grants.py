"""What the local authorization server has granted, and to whom. Pure: times are Unix seconds.

Codes and tokens are random, and only their digests are kept. A code is good once; shown twice, what
came of it is taken back. So is a family of refresh tokens of which a used one comes again.

Source: OAuth 2.1 (draft-ietf-oauth-v2-1), sections 4.1.3 and 4.3.1; RFC 9700.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field, replace

PENDING_SECONDS = 600.0
CODE_SECONDS = 60.0
ACCESS_SECONDS = 3600
REFRESH_SECONDS = 30 * 24 * 3600
GUESSES_MAX = 5
"""Wrong pass phrases for one request; then it has to be made again."""
PENDING_MAX = 256
TOKENS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks a person for. redirect_given: whether it named where to answer."""

    client_id: str
    redirect_uri: str
    redirect_given: bool
    state: str | None
    scopes: tuple[str, ...]
    challenge: str
    until: float = 0.0
    guesses: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """What one code or token stands for. family: of all that came of one consent."""

    client_id: str
    scopes: tuple[str, ...]
    family: str
    until: float
    asked: Asked | None = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class Issued:
    """An access token with the refresh token that renews it. access_until: when the first ends."""

    access: str
    refresh: str
    scopes: tuple[str, ...]


@dataclass(slots=True)
class Grants:
    """Requests that wait for a person, codes, and tokens.

    refresh: by digest; they outlive the process, and `changed` says when they must be kept again.
    """

    refresh: OrderedDict[str, Grant] = field(default_factory=OrderedDict)
    changed: bool = False
    _pending: OrderedDict[str, Asked] = field(default_factory=OrderedDict)
    _codes: OrderedDict[str, Grant] = field(default_factory=OrderedDict)
    _access: OrderedDict[str, Grant] = field(default_factory=OrderedDict)

    def ask(self, asked: Asked, now: float) -> str:
        """A request that waits for a person; the name that it waits under."""
        name = secrets.token_urlsafe(24)
        self._pending[name] = replace(asked, until=now + PENDING_SECONDS)
        _bounded(self._pending, PENDING_MAX)
        return name

    def waiting(self, name: str, now: float) -> Asked | None:
        """What waits under a name."""
        asked = self._pending.get(name)
        return asked if asked is not None and now < asked.until else None

    def guessed_wrong(self, name: str) -> bool:
        """Somebody gave a wrong pass phrase; whether there may be another try."""
        asked = self._pending[name]
        if asked.guesses + 1 >= GUESSES_MAX:
            del self._pending[name]
            return False
        self._pending[name] = replace(asked, guesses=asked.guesses + 1)
        return True

    def refuse(self, name: str) -> None:
        """A person said no."""
        self._pending.pop(name, None)

    def consent(self, name: str, now: float) -> str:
        """A person said yes: the code that the client gets."""
        asked = self._pending.pop(name)
        code = secrets.token_urlsafe(32)
        family = secrets.token_hex(16)
        grant = Grant(asked.client_id, asked.scopes, family, now + CODE_SECONDS, asked)
        self._codes[digest(code)] = grant
        _bounded(self._codes, PENDING_MAX)
        return code

    def code(self, code: str) -> Grant | None:
        """What a code stands for. One that was used before takes back what came of it."""
        grant = self._codes.get(digest(code))
        if grant is not None and grant.used:
            self.revoke(grant.family)
            return None
        return grant

    def redeem(self, code: str, now: float) -> Issued | None:
        """Tokens for a code; None where it was used or is not known."""
        grant = self.code(code)
        if grant is None:
            return None
        self._codes[digest(code)] = replace(grant, used=True)
        return self._issue(grant.client_id, grant.scopes, grant.family, now)

    def refreshable(self, token: str, now: float) -> Grant | None:
        """What a refresh token stands for. A used one takes back its family."""
        grant = self.refresh.get(digest(token))
        if grant is None or now >= grant.until:
            return None
        if grant.used:
            self.revoke(grant.family)
            return None
        return grant

    def renew(self, token: str, scopes: tuple[str, ...], now: float) -> Issued | None:
        """New tokens for a refresh token, which is used up; None where it is not good."""
        grant = self.refreshable(token, now)
        if grant is None:
            return None
        self.refresh[digest(token)] = replace(grant, used=True)
        for name, other in list(self._access.items()):
            if other.family == grant.family:
                del self._access[name]
        return self._issue(grant.client_id, scopes, grant.family, now)

    def access(self, token: str, now: float) -> Grant | None:
        """What an access token stands for."""
        grant = self._access.get(digest(token))
        return grant if grant is not None and now < grant.until else None

    def revoke(self, family: str) -> None:
        """Take back all that came of one consent."""
        for kept in (self._access, self.refresh):
            for name in [name for name, grant in kept.items() if grant.family == family]:
                del kept[name]
        self.changed = True

    def _issue(self, client_id: str, scopes: tuple[str, ...], family: str, now: float) -> Issued:
        issued = Issued(secrets.token_urlsafe(32), secrets.token_urlsafe(32), scopes)
        for kept, token, seconds in (
            (self._access, issued.access, ACCESS_SECONDS),
            (self.refresh, issued.refresh, REFRESH_SECONDS),
        ):
            for name in [name for name, grant in kept.items() if grant.until <= now]:
                del kept[name]
            kept[digest(token)] = Grant(client_id, scopes, family, now + seconds)
            _bounded(kept, TOKENS_MAX)
        self.changed = True
        return issued


def digest(secret: str) -> str:
    """What is kept of a secret of 128 random bits and more."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _bounded(kept: "OrderedDict[str, Asked] | OrderedDict[str, Grant]", most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
