"""The certificate authority's files, and what its certificates are good for."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cluster_runtime.errors import InvalidParameterError, StateDirectoryError
from cluster_runtime.gateway.authentication.tls import (
    AUTHORITY_LIFETIME,
    CERTIFICATE_LIFETIME,
    CertificateAuthority,
)


def handshake(certificate: Any, authority: CertificateAuthority, name: str) -> x509.Certificate:
    """A client's TLS handshake in memory; the certificate that it was shown and accepted."""
    client_context = ssl.create_default_context(cafile=str(authority.root_path))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    der = client.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_keys_are_for_the_owner_alone_and_only_the_authoritys_is_kept(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path / "tls")
    authority.server_certificate(["a.localhost"])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert modes == {"ca.key": 0o600, "ca.crt": 0o644}
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_the_authority_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first, second = (CertificateAuthority.open(tmp_path) for _ in range(2))
    assert first.certificate == second.certificate
    assert first.derive_secret("x") == second.derive_secret("x") != first.derive_secret("y")


def test_each_endpoint_is_verified_under_each_of_its_names(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path)
    certificate = authority.server_certificate(["a.us-east-1.localhost"])
    for name in ("a.us-east-1.localhost", "localhost", "127.0.0.1", "::1"):
        shown = handshake(certificate, authority, name)
        assert shown.public_bytes(Encoding.DER)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(certificate, authority, "b.us-east-1.localhost")


def test_the_authority_speaks_for_this_machine_only(tmp_path: Path) -> None:
    authority = CertificateAuthority.open(tmp_path)
    for name in ("example.com", "notlocalhost", "10.0.0.1.example"):
        with pytest.raises(InvalidParameterError, match="localhost"):
            authority.server_certificate([name])
    # An address outside of loopback can be written into a certificate, and no client accepts it.
    certificate = authority.server_certificate(["192.0.2.1"])
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        handshake(certificate, authority, "192.0.2.1")


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_not_used(tmp_path: Path, mode: int) -> None:
    CertificateAuthority.open(tmp_path)
    (tmp_path / "ca.key").chmod(mode)
    with pytest.raises(StateDirectoryError, match="chmod 600"):
        CertificateAuthority.open(tmp_path)


@pytest.mark.parametrize("name", ["ca.key", "ca.crt"])
def test_a_damaged_file_is_reported_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    CertificateAuthority.open(tmp_path)
    (tmp_path / name).write_text("garbage")
    with pytest.raises(StateDirectoryError, match="cannot be read"):
        CertificateAuthority.open(tmp_path)
    assert (tmp_path / name).read_text() == "garbage"


def test_a_key_of_another_authority_is_reported(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path / "a")
    CertificateAuthority.open(tmp_path / "b")
    (tmp_path / "a/ca.key").write_bytes((tmp_path / "b/ca.key").read_bytes())
    with pytest.raises(StateDirectoryError, match="not the key"):
        CertificateAuthority.open(tmp_path / "a")


def test_a_half_made_authority_is_made_anew(tmp_path: Path) -> None:
    CertificateAuthority.open(tmp_path)
    (tmp_path / "ca.crt").rename(tmp_path / "ca.crt.tmp")
    authority = CertificateAuthority.open(tmp_path)
    certificate = authority.server_certificate(["a.localhost"])
    handshake(certificate, authority, "a.localhost")
    assert {path.name for path in tmp_path.iterdir()} == {"ca.key", "ca.crt"}


def test_an_authority_about_to_expire_is_replaced(tmp_path: Path) -> None:
    first = CertificateAuthority.open(tmp_path)
    late = datetime.now(UTC) + AUTHORITY_LIFETIME - timedelta(days=29)
    second = CertificateAuthority.open(tmp_path, now=late)
    assert second.certificate != first.certificate
    assert second.certificate.not_valid_after_utc > late + timedelta(days=3000)


def test_an_endpoint_renews_its_certificate_before_it_expires(house: Any) -> None:
    def fingerprint() -> bytes:
        return house.on_loop(lambda: house.endpoint.certificate.server_end_point)

    first = fingerprint()
    house.clock_offset = CERTIFICATE_LIFETIME - timedelta(days=31)
    assert fingerprint() == first
    house.clock_offset = CERTIFICATE_LIFETIME - timedelta(days=29)
    assert fingerprint() != first
