"""SCRAM-SHA-256: the RFC's example, verifiers as PostgreSQL writes them, and broken clients."""

import base64

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq

from cluster_runtime.engine.postmaster import Postmaster, superuser_connection
from cluster_runtime.gateway.authentication.scram import (
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    ScramError,
    ScramServer,
    Verifier,
    make_verifier,
    saslprep,
)

# RFC 7677, section 3.
RFC_SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
RFC_CLIENT_NONCE = b"rOprNGfwEbeRWgbNEkqO"
RFC_SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


def parsed(text: str) -> Verifier:
    verifier = Verifier.parse(text)
    assert verifier is not None
    return verifier


def test_the_example_of_rfc_7677() -> None:
    verifier = parsed(make_verifier("pencil", iterations=4096, salt=RFC_SALT))
    server = ScramServer(verifier, nonce=RFC_SERVER_NONCE)
    nonce = RFC_CLIENT_NONCE + RFC_SERVER_NONCE.encode()
    assert server.first(SCRAM_SHA_256, b"n,,n=user,r=" + RFC_CLIENT_NONCE) == (
        b"r=" + nonce + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    proof = b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    answer = server.final(b"c=biws,r=" + nonce + b"," + proof)
    assert answer == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_a_proof_made_for_another_password_is_wrong_and_not_an_error() -> None:
    verifier = parsed(make_verifier("pen", iterations=4096, salt=RFC_SALT))
    server = ScramServer(verifier, nonce=RFC_SERVER_NONCE)
    server.first(SCRAM_SHA_256, b"n,,n=user,r=" + RFC_CLIENT_NONCE)
    nonce = RFC_CLIENT_NONCE + RFC_SERVER_NONCE.encode()
    proof = b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert server.final(b"c=biws,r=" + nonce + b"," + proof) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"c=biws",
        b"c=biws,r=%b,p=",
        b"c=biws,r=wrongnonce,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"c=eSws,r=%b,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"c=biws,r=%b,p=AAAA",
        b"c=b,r=%b,p=AAAA",
        b"c=biws,r=%b,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ",
    ],
)
def test_a_broken_last_message_is_an_error(message: bytes) -> None:
    server = ScramServer(Verifier.mock("user", b"secret"), nonce=RFC_SERVER_NONCE)
    server.first(SCRAM_SHA_256, b"n,,n=user,r=" + RFC_CLIENT_NONCE)
    nonce = RFC_CLIENT_NONCE + RFC_SERVER_NONCE.encode()
    with pytest.raises(ScramError):
        server.final(message.replace(b"%b", nonce))


def test_a_client_that_was_talked_out_of_channel_binding_is_refused() -> None:
    server = ScramServer(
        Verifier.mock("user", b"secret"), nonce="n", server_end_point=b"certificate"
    )
    with pytest.raises(ScramError, match="negotiation"):
        server.first(SCRAM_SHA_256, b"y,,n=user,r=abc")


def test_a_binding_to_another_certificate_is_refused() -> None:
    server = ScramServer(Verifier.mock("user", b"secret"), nonce="n", server_end_point=b"ours")
    server.first(SCRAM_SHA_256_PLUS, b"p=tls-server-end-point,,n=user,r=abc")
    binding = base64.b64encode(b"p=tls-server-end-point,,theirs")
    proof = base64.b64encode(b"p" * 32)
    with pytest.raises(ScramError, match="channel binding"):
        server.final(b"c=" + binding + b",r=abcn,p=" + proof)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5e8a48653851e28c69d0506508fb27fc5",
        "SCRAM-SHA-256$4096:c2FsdA==$c2hvcnQ=:c2hvcnQ=",
        "SCRAM-SHA-256$0:c2FsdA==$" + ":".join(["A" * 43 + "="] * 2),
        "SCRAM-SHA-256$4096:=$" + ":".join(["A" * 43 + "="] * 2),
    ],
)
def test_what_is_no_verifier_is_not_taken_for_one(text: str) -> None:
    assert Verifier.parse(text) is None


def test_a_verifier_does_not_show_its_keys() -> None:
    verifier = parsed(make_verifier("pencil"))
    assert str(verifier).split("$")[2].split(":")[0] not in repr(verifier)


PASSWORDS = ["simple", "tschüß", "I\u00adX", "\u2168", "a\u00a0b", "\u0627\u0031", "bell\a", "ª"]


@pytest.mark.parametrize("password", PASSWORDS)
def test_verifiers_are_those_that_postgresql_and_libpq_make(
    postmaster: Postmaster, password: str
) -> None:
    with superuser_connection(postmaster) as conn:
        literal = psycopg.sql.Literal(password)
        conn.execute("begin")
        conn.execute(psycopg.sql.SQL("create role scram_probe password {}").format(literal))
        row = conn.execute(
            "select rolpassword from pg_authid where rolname = 'scram_probe'"
        ).fetchone()
        conn.execute("rollback")
        libpq = conn.pgconn.encrypt_password(password.encode(), b"x", b"scram-sha-256").decode()
    assert row is not None
    for text in (row[0], libpq):
        theirs = parsed(text)
        assert make_verifier(password, iterations=theirs.iterations, salt=theirs.salt) == text


def test_libpq_is_recent_enough_for_these_tests() -> None:
    assert pq.version() >= 180000


@given(st.text())
def test_saslprep_settles(password: str) -> None:
    assert saslprep(saslprep(password)) == saslprep(password)


@given(first=st.binary(max_size=80), last=st.binary(max_size=80))
def test_arbitrary_messages_are_errors_or_wrong_passwords(first: bytes, last: bytes) -> None:
    server = ScramServer(Verifier.mock("user", b"secret"), nonce="n")
    try:
        server.first(SCRAM_SHA_256, first)
        assert server.final(last) is None
    except ScramError:
        pass
