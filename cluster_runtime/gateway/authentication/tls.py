"""TLS of the endpoints: an own certificate authority, and a certificate for each endpoint.

The authority is made on first start and kept in a directory of mode 0700. It can only speak for
this machine: its name constraints allow `.localhost` names and loopback addresses, so that who
trusts its root trusts it for nothing else. Keys of endpoint certificates live in memory; they are
made again at each start and well before they expire.

Source: RFC 5280 (name constraints), RFC 5929 (`tls-server-end-point`), PostgreSQL 18
documentation, "Secure TCP/IP Connections with SSL".
"""

import ipaddress
import os
import ssl
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster_runtime.errors import InvalidParameterError, StateDirectoryError
from cluster_runtime.gateway.authentication.handshake import ALPN
from cluster_runtime.logs import get_logger

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
AUTHORITY_LIFETIME = timedelta(days=3650)
CERTIFICATE_LIFETIME = timedelta(days=90)
RENEW_BEFORE = timedelta(days=30)
BACKDATED = timedelta(hours=1)  # a client's clock may be behind ours

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What an endpoint shows to its clients.

    server_end_point: the certificate's SHA-256, for SCRAM channel binding.
    renew_at: aware; from then on a new one should take its place.
    """

    context: ssl.SSLContext
    names: tuple[str, ...]
    server_end_point: bytes
    renew_at: datetime


class CalledSocket(ssl.SSLSocket):
    """A client's connection whose certificate was chosen by the name that it called.

    server_name: None where it called none, such as an address. certificate: None: the first one.
    """

    server_name: str | None = None
    certificate: ServerCertificate | None = None


def choose_by_name(
    certificate: ServerCertificate, choose: Callable[[str | None], ServerCertificate | None]
) -> None:
    """Have clients of a certificate shown the one of the name they call. choose: None: this one."""

    def called(tls: CalledSocket, server_name: str | None, _: ssl.SSLContext) -> None:
        tls.server_name = server_name
        tls.certificate = choose(server_name)
        if tls.certificate is not None:
            tls.context = tls.certificate.context

    certificate.context.sslsocket_class = CalledSocket
    certificate.context.sni_callback = called  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """Signs the endpoints' certificates. Use `CertificateAuthority.open`."""

    directory: Path
    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def open(cls, directory: Path, *, now: datetime | None = None) -> "CertificateAuthority":
        """The authority of a directory, made if there is none or if it expires within 30 days.

        Raises StateDirectoryError when its files are damaged or open to other users.
        """
        now = now or datetime.now(UTC)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_path, root_path = directory / "ca.key", directory / "ca.crt"
        for left_behind in directory.glob("*.tmp"):
            left_behind.unlink()
        if not (key_path.exists() and root_path.exists()):
            return cls._make(directory, now)
        if stat.S_IMODE(key_path.stat().st_mode) & 0o077:
            raise StateDirectoryError(
                f"{key_path} can be read by other users; no certificate is signed with it. "
                "Run chmod 600 on it, or delete it to have a new authority made"
            )
        try:
            key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(root_path.read_bytes())
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise StateDirectoryError(
                f"the certificate authority in {directory} cannot be read: {error}. "
                "Delete ca.key and ca.crt there to have a new one made"
            ) from error
        if (
            not isinstance(key, ec.EllipticCurvePrivateKey)
            or key.public_key() != certificate.public_key()
        ):
            raise StateDirectoryError(
                f"{key_path} is not the key of {root_path}. "
                "Delete both to have a new certificate authority made"
            )
        if certificate.not_valid_after_utc - RENEW_BEFORE <= now:
            return cls._make(directory, now)
        return cls(directory, certificate, key)

    @property
    def root_path(self) -> Path:
        """The root certificate in PEM: libpq's `sslrootcert`."""
        return self.directory / "ca.crt"

    def derive_secret(self, purpose: str) -> bytes:
        """32 bytes that stay the same as long as the authority does, another for each purpose."""
        key = self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose.encode()).derive(key)

    def check_names(self, names: Iterable[str]) -> None:
        """Raises InvalidParameterError for a name that `server_certificate` refuses."""
        for name in names:
            _general_name(name)

    def server_certificate(
        self, names: Iterable[str], *, now: datetime | None = None
    ) -> ServerCertificate:
        """A new certificate and key for an endpoint's names, and for the loopback addresses.

        Raises InvalidParameterError for a name that is not under `.localhost`.
        """
        now = now or datetime.now(UTC)
        names = tuple(dict.fromkeys((*names, *LOOPBACK_HOSTS)))
        key = ec.generate_private_key(ec.SECP256R1())
        expires = min(now + CERTIFICATE_LIFETIME, self.certificate.not_valid_after_utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_common_name("Borealis endpoint"))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(expires)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return ServerCertificate(
            context=self._context(certificate, key),
            names=names,
            server_end_point=certificate.fingerprint(hashes.SHA256()),
            renew_at=expires - RENEW_BEFORE,
        )

    def _context(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0  # no session is resumed: tickets would only cost bytes
        context.set_alpn_protocols([ALPN])
        # The ssl module loads keys from files alone; this one exists (0600) for that moment.
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tmp") as file:
            file.write(_pem(key) + certificate.public_bytes(serialization.Encoding.PEM))
            file.flush()
            context.load_cert_chain(file.name)
        return context

    @classmethod
    def _make(cls, directory: Path, now: datetime) -> "CertificateAuthority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _common_name("Borealis local certificate authority")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(now + AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(
                x509.NameConstraints(
                    permitted_subtrees=[
                        x509.DNSName("localhost"),
                        x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
                        x509.IPAddress(ipaddress.ip_network("::1/128")),
                    ],
                    excluded_subtrees=None,
                ),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        # The key first: a certificate without its key would look like a lost key.
        _write(directory / "ca.key", _pem(key), mode=0o600)
        _write(
            directory / "ca.crt",
            certificate.public_bytes(serialization.Encoding.PEM),
            mode=0o644,
        )
        log.info("certificate authority made", directory=str(directory))
        return cls(directory, certificate, key)


_SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    if name != "localhost" and not name.endswith(".localhost"):
        raise InvalidParameterError(
            f"{name!r} cannot be the name of an endpoint: the local certificate authority speaks "
            "for names under .localhost only"
        )
    return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file so that it is there whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
