"""The PostgreSQL wire-protocol front door: TLS, credentials, routing, relay."""

from cluster_runtime.gateway.authentication.iam import SigningKey
from cluster_runtime.gateway.authentication.scram import make_verifier
from cluster_runtime.gateway.authentication.tls import CertificateAuthority
from cluster_runtime.gateway.backend import LOGIN_QUERY, Backend, Login
from cluster_runtime.gateway.description import SessionDescription
from cluster_runtime.gateway.gateway import Endpoint, EndpointSpec, Gateway
from cluster_runtime.gateway.limits import GatewayLimits
from cluster_runtime.gateway.relay.traffic import Traffic
from cluster_runtime.gateway.wire.protocol import error_response

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
    "Traffic",
    "error_response",
    "make_verifier",
]
