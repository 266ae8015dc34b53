"""The PostgreSQL wire-protocol front door: TLS, credentials, routing, relay."""

from cluster_runtime.gateway.backend import LOGIN_QUERY, Backend, Login
from cluster_runtime.gateway.description import SessionDescription
from cluster_runtime.gateway.gateway import Endpoint, EndpointSpec, Gateway
from cluster_runtime.gateway.iam import SigningKey
from cluster_runtime.gateway.limits import GatewayLimits
from cluster_runtime.gateway.protocol import error_response
from cluster_runtime.gateway.scram import make_verifier
from cluster_runtime.gateway.tls import CertificateAuthority

__all__ = [
    "LOGIN_QUERY",
    "Backend",
    "CertificateAuthority",
    "Endpoint",
    "EndpointSpec",
    "Gateway",
    "GatewayLimits",
    "Login",
    "SessionDescription",
    "SigningKey",
    "error_response",
    "make_verifier",
]
