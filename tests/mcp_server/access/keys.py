"""Keys of issuers, as they publish them."""

import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(private: Any, kid: str, **more: str) -> dict[str, Any]:
    made = jwt.algorithms
    algorithm = {
        rsa.RSAPrivateKey: made.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: made.ECAlgorithm,
        ed25519.Ed25519PrivateKey: made.OKPAlgorithm,
    }
    (kind,) = (made for of, made in algorithm.items() if isinstance(private, of))
    return {**json.loads(kind.to_jwk(private.public_key())), "kid": kid, **more}
