"""Access tokens of an external issuer: which let their bearer in, and which do not."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mcp_server.access.tokens import Judge, TokenRefusedError, UnknownKeyError, signing_keys
from tests.mcp_server.access.keys import EC, ED, RSA, jwk

ISSUER = "https://login.example.com"
RESOURCE = "http://127.0.0.1:8765/mcp"
NOW = 1_900_000_000


KEYS = signing_keys(
    {
        "keys": [
            jwk(RSA, "rsa"),
            jwk(EC, "ec", alg="ES256", use="sig"),
            jwk(ED, "ed"),
            jwk(RSA, "encrypts", use="enc"),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"},
        ]
    }
)
CLAIMS = {
    "iss": ISSUER,
    "aud": RESOURCE,
    "exp": NOW + 60,
    "sub": "ada",
    "client_id": "editor",
    "scope": "read write",
}


def signed(
    private: Any = RSA, algorithm: str = "RS256", kid: str | None = "rsa", **changed: Any
) -> str:
    headers = {**({} if kid is None else {"kid": kid}), **changed.pop("headers", {})}
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    return jwt.encode(claims, private, algorithm, headers)


def judged(token: str) -> Any:
    return Judge(ISSUER, RESOURCE).verified(token, KEYS, NOW)


@pytest.mark.parametrize(
    ("private", "algorithm", "kid"),
    [(RSA, "RS256", "rsa"), (RSA, "PS512", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")],
)
def test_a_token_of_the_issuer_for_this_server_is_good(
    private: Any, algorithm: str, kid: str
) -> None:
    found = judged(signed(private, algorithm, kid))
    assert (found.client_id, found.subject, found.scopes) == ("editor", "ada", ["read", "write"])
    assert (found.resource, found.expires_at) == (RESOURCE, NOW + 60)


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": ["https://other.example.com", RESOURCE + "/"]},
        {"headers": {"typ": "at+jwt"}},
        {"nbf": NOW + 5},  # a clock may be late
        {"scope": None, "scp": ["read", "write"]},
    ],
)
def test_what_issuers_do_differently_is_good_too(changed: dict[str, Any]) -> None:
    assert judged(signed(**changed)).scopes == ["read", "write"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"aud": "https://other.example.com/mcp"}, "another audience"),
        ({"aud": RESOURCE + "x"}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": "editor", "nonce": "n", "at_hash": "h"}, "another audience"),  # an ID token
        ({"aud": None}, "MissingRequiredClaim"),
        ({"iss": "https://evil.example.com"}, "InvalidIssuer"),
        ({"iss": ISSUER + "/"}, "InvalidIssuer"),
        ({"iss": None}, "MissingRequiredClaim"),
        ({"exp": NOW}, "expired"),
        ({"exp": NOW - 60}, "expired"),
        ({"exp": None}, "MissingRequiredClaim"),
        ({"exp": float("nan")}, "not valid|expired|JWT"),
        ({"exp": float("inf")}, "no numbers"),
        ({"exp": True}, "no numbers"),
        ({"nbf": NOW + 3600}, "not good yet"),
        ({"cnf": {"jkt": "x"}}, "bound to a key"),
        ({"headers": {"typ": "logout+jwt"}}, "another kind"),
        ({"headers": {"crit": ["exp"]}}, "no JWT|must be understood"),
        ({"kid": "unknown"}, "does not publish"),
        ({"kid": None}, "does not publish"),
        ({"kid": "encrypts"}, "does not publish"),
        ({"kid": "ec"}, "not one of its key"),
        ({"private": EC, "algorithm": "ES256", "kid": "rsa"}, "not one of its key"),
        ({"private": ED, "algorithm": "EdDSA", "kid": "ec"}, "not one of its key"),
    ],
)
def test_a_token_that_is_not_for_here_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(TokenRefusedError, match=said):
        judged(signed(**changed))


def forged(header: dict[str, Any], signature: bytes) -> str:
    parts = [json.dumps(each).encode() for each in (header, CLAIMS)]
    return ".".join(
        base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (*parts, signature)
    )


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "RS999", None, 1, ["RS256"], {"RS256": "RS256"}]
)
def test_a_token_that_nobody_signed_is_refused(algorithm: Any) -> None:
    header = {"typ": "JWT", "kid": "rsa", "alg": algorithm}
    with pytest.raises(TokenRefusedError):
        judged(forged(header, b""))


def test_a_public_key_is_no_secret_for_hmac() -> None:
    import hashlib
    import hmac

    public = RSA.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = forged({"typ": "JWT", "kid": "rsa", "alg": "HS256"}, b"").removesuffix(".")
    mac = hmac.new(public, unsigned.encode(), hashlib.sha256).digest()
    with pytest.raises(TokenRefusedError, match="algorithm is none"):
        judged(f"{unsigned}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}")
    with pytest.raises(TokenRefusedError, match="algorithm is none"):
        judged(jwt.encode(CLAIMS, b"secret" * 8, "HS256", {"kid": "oct"}))


def test_a_signature_by_somebody_else_is_refused() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(TokenRefusedError, match="InvalidSignature"):
        judged(signed(other))
    good = signed()
    with pytest.raises(TokenRefusedError):
        judged(good[:-8] + "AAAAAAAA")


def test_keys_in_a_token_are_nobodys() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for header in ({"jwk": jwk(other, "x")}, {"jku": "https://evil.example.com"}, {"x5u": "x"}):
        with pytest.raises(TokenRefusedError, match="InvalidSignature"):
            judged(signed(other, headers=header))


def test_a_key_that_is_published_for_one_algorithm_verifies_no_other() -> None:
    keys = signing_keys({"keys": [jwk(RSA, "rsa", alg="PS256")]})
    with pytest.raises(TokenRefusedError, match="another algorithm"):
        Judge(ISSUER, RESOURCE).verified(signed(), keys, NOW)


def test_a_token_without_a_key_id_goes_by_the_only_key() -> None:
    keys = signing_keys({"keys": [jwk(RSA, "rsa")]})
    assert Judge(ISSUER, RESOURCE).verified(signed(kid=None), keys, NOW).client_id == "editor"
    with pytest.raises(UnknownKeyError):
        Judge(ISSUER, RESOURCE).verified(signed(kid="other"), keys, NOW)


NESTED = base64.urlsafe_b64encode(b"[" * 30_000).decode()


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "..", "é.é.é", "." * 10_000, f"{NESTED}.e30.", f"e30.{NESTED}."]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefusedError):
        judged(token)


def test_no_refusal_quotes_the_token() -> None:
    for token in ("secret-secret-secret", signed(aud="secret-secret")):
        with pytest.raises(TokenRefusedError) as raised:
            judged(token)
        assert "secret-secret" not in str(raised.value)


@pytest.mark.parametrize("published", [None, [], {}, {"keys": None}, {"keys": "x"}])
def test_what_is_no_set_of_keys_is_an_error(published: Any) -> None:
    with pytest.raises(ValueError, match="keys"):
        signing_keys(published)
