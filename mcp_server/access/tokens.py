"""Whether an access token of an external issuer lets its bearer in. Pure.

Source: RFC 9068 (access tokens as JWT), RFC 8725 (best practices), RFC 8707 (audience).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from mcp.server.auth.provider import AccessToken

from mcp_server.access.urls import same

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""With a public key alone: `none`, and HMAC with a key that is public, verify nothing."""
FAMILIES = {"RSA": ("RS", "PS"), "EC": ("ES",), "OKP": ("EdDSA",)}
TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""Not those of ID tokens' kin (`logout+jwt`, `dpop+jwt`), which open nothing."""
Keys = Mapping[str, Mapping[str, Any]]
"""JWKs by their `kid`."""
LEEWAY_SECONDS = 10
"""By which the issuer's clock may be ahead of ours."""
REQUIRED = ("iss", "aud", "exp")


class TokenRefusedError(Exception):
    """A token that opens nothing. It says why, for a log, and quotes nothing of the token."""


class UnknownKeyError(TokenRefusedError):
    """It names a key that the issuer has not published, as far as is known."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges tokens of one issuer for one resource; both as URLs."""

    issuer: str
    resource: str

    def verified(self, token: str, keys: Keys, now: float) -> AccessToken:
        """What a token says, if it is good. keys: the issuer's JWKs by `kid`. now: Unix seconds.

        Raises TokenRefusedError, UnknownKeyError.
        """
        key, algorithm = self._key(token, keys)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self.issuer,
                # Times are judged below, against the clock that the caller reads.
                options={
                    "require": list(REQUIRED),
                    "verify_aud": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError as error:
            raise TokenRefusedError(f"it is not valid: {type(error).__name__}") from error
        self._check_audience(claims["aud"])
        _check_times(claims, now)
        if "cnf" in claims:
            raise TokenRefusedError("it is bound to a key of its client, and came as a bearer's")
        return AccessToken(
            token=token,
            client_id=_text(claims, "client_id") or _text(claims, "azp") or "",
            scopes=_scopes(claims),
            expires_at=int(claims["exp"]),
            resource=self.resource,
            subject=_text(claims, "sub"),
            claims={"iss": self.issuer},
        )

    def _key(self, token: str, keys: Keys) -> tuple[jwt.PyJWK, str]:
        """The key that a token names, made for the algorithm that it was published for."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError as error:
            raise TokenRefusedError("it is no JWT") from error
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise TokenRefusedError("its algorithm is none that proves who signed it")
        if str(header.get("typ") or "JWT").lower() not in TYPES:
            raise TokenRefusedError("it is a JWT of another kind than an access token")
        if "crit" in header:
            raise TokenRefusedError("it has header fields that must be understood, and are not")
        found = keys.get(str(header.get("kid", ""))) or _only(keys, header)
        if found is None:
            raise UnknownKeyError("it is signed with a key that the issuer does not publish")
        if not algorithm.startswith(FAMILIES.get(str(found.get("kty")), ())):
            raise TokenRefusedError("its algorithm is not one of its key")
        if found.get("alg", algorithm) != algorithm:
            raise TokenRefusedError("its key was published for another algorithm")
        try:
            return jwt.PyJWK(dict(found), algorithm), algorithm
        except jwt.PyJWTError as error:
            raise TokenRefusedError("its key cannot be read") from error

    def _check_audience(self, audience: object) -> None:
        named = audience if isinstance(audience, list) else [audience]
        if not any(same(self.resource, str(each)) for each in named):
            raise TokenRefusedError("it is for another audience")


def signing_keys(published: object) -> Keys:
    """The keys of a JWK set that verify signatures, by `kid`; symmetric ones are none.

    Raises ValueError for what is no JWK set.
    """
    if not isinstance(published, dict) or not isinstance(published.get("keys"), list):
        raise ValueError("it has no list of keys")
    return {
        str(each.get("kid", "")): each
        for each in published["keys"]
        if isinstance(each, dict)
        and each.get("kty") in FAMILIES
        and each.get("use", "sig") == "sig"
    }


def _only(keys: Keys, header: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The key of an issuer that has one alone, for a token that names none."""
    return next(iter(keys.values())) if "kid" not in header and len(keys) == 1 else None


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, begins = claims["exp"], claims.get("nbf", 0)
    for each in (expires, begins):
        if isinstance(each, bool) or not isinstance(each, int | float) or abs(each) == math.inf:
            raise TokenRefusedError("its times are no numbers")
    if not now < expires:
        raise TokenRefusedError("it has expired")
    if not begins - LEEWAY_SECONDS <= now:
        raise TokenRefusedError("it is not good yet")


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """As RFC 9068 writes them, or as a list, which some issuers do."""
    told = claims.get("scope", claims.get("scp", ""))
    if isinstance(told, str):
        return told.split()
    return [each for each in told if isinstance(each, str)] if isinstance(told, Sequence) else []


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None
