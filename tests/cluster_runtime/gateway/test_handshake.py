"""The startup state machine, without a socket: every packet a client may begin with."""

import base64
import hashlib
import hmac
import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.gateway.authentication.actions import (
    Action,
    Cancel,
    CheckToken,
    Close,
    Connect,
    FindEndpoint,
    LookUp,
    Policy,
    Refusal,
    Send,
    StartTls,
)
from cluster_runtime.gateway.authentication.handshake import Handshake, State
from cluster_runtime.gateway.authentication.scram import make_verifier
from cluster_runtime.gateway.backend import Login
from cluster_runtime.gateway.relay.greeting import InstanceGoneError, read_greeting
from cluster_runtime.gateway.wire import protocol
from cluster_runtime.gateway.wire.cancel_keys import BackendKey
from cluster_runtime.gateway.wire.protocol import ProtocolVersion

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CERTIFICATE_HASH = b"c" * 32
IN_CLEAR = Policy(require_tls=False)
V3_0, V3_2 = ProtocolVersion(3, 0), ProtocolVersion(3, 2)
SSL_REQUEST = struct.pack("!II", 8, protocol.SSL_REQUEST)
GSSENC_REQUEST = struct.pack("!II", 8, protocol.GSSENC_REQUEST)


def start(policy: Policy | None = IN_CLEAR) -> Handshake:
    return Handshake(policy, nonce="servernonce", mock_secret=b"m" * 32)


def startup(version: ProtocolVersion = V3_0, **parameters: str) -> bytes:
    return protocol.startup_message(version, {"user": "app", **parameters})


def to_server(version: ProtocolVersion = V3_0, **parameters: str) -> bytes:
    """The startup message that PostgreSQL gets."""
    return startup(version, **parameters, options="-c synchronous_commit=on")


def feed(shake: Handshake, data: bytes, chunk: int = 1 << 20) -> list[Action]:
    """Bytes as a driver reads them: never more than the machine wants."""
    actions: list[Action] = []
    while data and (limit := min(shake.wants, chunk)):
        actions += shake.receive(data[:limit])
        data = data[limit:]
    return actions


def in_tls(policy: Policy | None = None) -> Handshake:
    shake = start(policy or Policy())
    assert feed(shake, SSL_REQUEST) == [Send(b"S"), StartTls()]
    assert shake.tls_established(alpn=None, server_end_point=CERTIFICATE_HASH) == []
    return shake


def refusal(actions: list[Action]) -> tuple[str, str]:
    """SQLSTATE and text of a FATAL that ends the connection."""
    sent, close = actions[-2:]
    assert isinstance(sent, Send)
    assert isinstance(close, Close)
    assert sent.data[:1] == b"E"
    fields = {part[:1]: part[1:].decode() for part in sent.data[5:].split(b"\0") if part}
    assert fields[b"S"] == "FATAL"
    return fields[b"C"], fields[b"M"]


def password(text: str) -> bytes:
    return protocol.message(b"p", text.encode() + b"\0")


def sasl_messages(challenge: Send, secret: str) -> bytes:
    """What a client answers to a server-first-message, by RFC 5802."""
    server_first = challenge.data[9:].decode()
    fields = dict(part.split("=", 1) for part in server_first.split(","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", secret.encode(), base64.b64decode(fields["s"]), int(fields["i"])
    )
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = f"c=biws,r={fields['r']}"
    auth = f"n=,r=clientnonce,{server_first},{without_proof}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), auth, "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))
    return protocol.message(b"p", f"{without_proof},p={proof.decode()}".encode())


def sasl_first(mechanism: str = "SCRAM-SHA-256", data: bytes = b"n,,n=,r=clientnonce") -> bytes:
    return protocol.message(b"p", mechanism.encode() + b"\0" + struct.pack("!i", len(data)) + data)


def authenticate(shake: Handshake, login: Login | None, secret: str) -> list[Action]:
    shake.login_found(login, now=NOW)
    (challenge,) = feed(shake, sasl_first())
    assert isinstance(challenge, Send)
    return feed(shake, sasl_messages(challenge, secret))


def test_a_password_role_authenticates_with_scram_and_then_the_backend_is_opened() -> None:
    shake = start()
    assert feed(shake, startup(application_name="x")) == [LookUp("app")]
    final, connect = authenticate(shake, Login("app", make_verifier("s3cret")), "s3cret")
    assert isinstance(final, Send)
    assert final.data[:1] + final.data[5:9] == b"R" + struct.pack("!I", 12)
    assert connect == Connect(
        to_server(application_name="x"),
        user="app",
        database="app",
        application_name="x",
        authentication="SCRAM-SHA-256",
    )


def test_a_wrong_password_and_an_unknown_user_look_the_same() -> None:
    answers = set()
    for login in (Login("app", make_verifier("s3cret")), None, Login("app"), Login("app", "md5ab")):
        shake = start()
        feed(shake, startup())
        answers.add(refusal(authenticate(shake, login, "guess")))
    assert answers == {("28P01", 'password authentication failed for user "app"')}


def test_an_unknown_user_is_shown_the_same_salt_each_time() -> None:
    salts = set()
    for _ in range(2):
        shake = start()
        feed(shake, startup())
        shake.login_found(None, now=NOW)
        (challenge,) = feed(shake, sasl_first())
        assert isinstance(challenge, Send)
        salts.add(challenge.data.split(b",s=")[1])
    assert len(salts) == 1


def test_the_right_password_of_an_expired_role_is_refused() -> None:
    shake = start()
    feed(shake, startup())
    login = Login("app", make_verifier("s3cret"), valid_until=NOW - timedelta(seconds=1))
    assert refusal(authenticate(shake, login, "s3cret"))[0] == "28P01"


def test_a_superuser_is_refused_even_with_its_password() -> None:
    shake = start()
    feed(shake, startup())
    login = Login("app", make_verifier("s3cret"), superuser=True)
    assert refusal(authenticate(shake, login, "s3cret"))[0] == "28P01"


def test_an_iam_role_is_asked_for_its_token_inside_tls() -> None:
    shake = in_tls()
    feed(shake, startup())
    login = Login("app", iam=True)
    assert shake.login_found(login, now=NOW) == [Send(protocol.AUTHENTICATION_CLEARTEXT_PASSWORD)]
    assert feed(shake, password("a token")) == [CheckToken("app", "a token")]
    (connect,) = shake.token_checked(True)
    assert isinstance(connect, Connect)
    assert connect.authentication == "IAM token"


def test_a_wrong_token_is_refused() -> None:
    shake = in_tls()
    feed(shake, startup())
    shake.login_found(Login("app", iam=True), now=NOW)
    feed(shake, password("a token"))
    assert refusal(shake.token_checked(False))[0] == "28P01"


SCRAM, TOKEN, BOTH = "SCRAM", "token", "SCRAM, then token"
VERIFIER = make_verifier("s3cret")


def asked(login: Login | None, policy: Policy, *, tls: bool, wish: str | None) -> str:
    """What a client of the wrong password is asked for, until it is refused."""
    shake = in_tls(policy) if tls else start(policy)
    options = {} if wish is None else {"options": f"-c borealis.auth={wish}"}
    actions = feed(shake, startup(**options))
    if actions != [LookUp("app")]:
        return refusal(actions)[0]
    questions = []
    actions = shake.login_found(login, now=NOW)
    if shake.state is State.SASL:
        questions.append(SCRAM)
        (challenge,) = feed(shake, sasl_first())
        assert isinstance(challenge, Send)
        actions = feed(shake, sasl_messages(challenge, "wrong"))
    if actions == [Send(protocol.AUTHENTICATION_CLEARTEXT_PASSWORD)]:
        questions.append(TOKEN)
        assert feed(shake, password("a token")) == [CheckToken("app", "a token")]
        actions = shake.token_checked(False)
    assert refusal(actions) == ("28P01", 'password authentication failed for user "app"')
    return ", then ".join(questions)


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        # Of what follows: the client says nothing, iam, scram.
        (Login("app", VERIFIER), (SCRAM, TOKEN, SCRAM)),
        (Login("app", iam=True), (TOKEN, TOKEN, SCRAM)),
        (Login("app", VERIFIER, iam=True), (BOTH, TOKEN, SCRAM)),
        (Login("app", "md5abc", iam=True), (TOKEN, TOKEN, SCRAM)),
        (Login("app", VERIFIER, NOW, iam=True), (TOKEN, TOKEN, SCRAM)),
        (Login("app", VERIFIER, iam=True, superuser=True), (SCRAM, TOKEN, SCRAM)),
        (Login("app"), (SCRAM, TOKEN, SCRAM)),
        (None, (SCRAM, TOKEN, SCRAM)),
    ],
)
def test_what_is_asked_for_follows_from_the_role_and_from_what_the_client_says(
    login: Login | None, expected: tuple[str, str, str]
) -> None:
    wishes = (None, "iam", "scram")
    for policy in (Policy(), Policy(require_tls=False)):
        assert tuple(asked(login, policy, tls=True, wish=wish) for wish in wishes) == expected
    # No token is ever asked for without TLS, or where tokens do not count.
    for policy, tls in ((IN_CLEAR, False), (Policy(iam_enabled=False), True)):
        found = tuple(asked(login, policy, tls=tls, wish=wish) for wish in wishes)
        assert found == (SCRAM, "28000", SCRAM)


@pytest.mark.parametrize("login", [Login("app", VERIFIER), Login("app"), None])
def test_a_fitting_token_opens_no_role_that_may_not_use_tokens(login: Login | None) -> None:
    shake = in_tls()
    feed(shake, startup(options="-c borealis.auth=iam"))
    shake.login_found(login, now=NOW)
    feed(shake, password("a token"))
    assert refusal(shake.token_checked(True))[0] == "28P01"


@pytest.mark.parametrize("shake", [start(), in_tls(Policy(iam_enabled=False))])
def test_no_token_is_asked_for_in_clear_or_where_iam_is_off(shake: Handshake) -> None:
    feed(shake, startup())
    (offer,) = shake.login_found(Login("app", iam=True), now=NOW)
    assert isinstance(offer, Send)
    assert b"SCRAM-SHA-256\0" in offer.data


def test_channel_binding_is_offered_in_tls_only() -> None:
    offers = []
    for shake in (start(), in_tls()):
        feed(shake, startup())
        (offer,) = shake.login_found(None, now=NOW)
        assert isinstance(offer, Send)
        offers.append(b"SCRAM-SHA-256-PLUS\0" in offer.data)
    assert offers == [False, True]


def test_plaintext_is_refused_where_tls_is_required() -> None:
    code, text = refusal(feed(start(Policy(require_tls=True)), startup()))
    assert code == "28000"
    assert "TLS" in text


@pytest.mark.parametrize("user", ["rdsadmin", "rds_superuser", "rds_iam", "pg_read_all_data"])
def test_reserved_roles_are_refused_before_anything_is_looked_up(user: str) -> None:
    code, text = refusal(feed(start(), startup(user=user)))
    assert code == "28000"
    assert user in text


@pytest.mark.parametrize("value", ["true", "database", "false", "1"])
def test_replication_connections_are_refused(value: str) -> None:
    assert refusal(feed(start(), startup(replication=value)))[0] == "0A000"


def test_a_startup_message_without_a_user_is_refused() -> None:
    assert refusal(feed(start(), startup(user="")))[0] == "28000"


@pytest.mark.parametrize("parameters", [{"user": "u" * 64}, {"database": "d" * 64}])
def test_names_that_postgresql_would_cut_off_are_refused(parameters: dict[str, str]) -> None:
    assert refusal(feed(start(), startup(**parameters)))[0] == "28000"


def test_of_a_repeated_parameter_the_server_sees_the_value_that_was_checked() -> None:
    shake = start()
    body = b"user\0rdsadmin\0user\0app\0database\0x\0\0"
    packet = struct.pack("!II", len(body) + 8, V3_0.code) + body
    assert feed(shake, packet) == [LookUp("app")]
    connect = authenticate(shake, Login("app", make_verifier("s")), "s")[-1]
    assert isinstance(connect, Connect)
    assert b"rdsadmin" not in connect.startup_message


def test_protocol_3_2_is_passed_on() -> None:
    shake = start()
    assert feed(shake, startup(V3_2)) == [LookUp("app")]
    connect = authenticate(shake, Login("app", make_verifier("s")), "s")[-1]
    assert isinstance(connect, Connect)
    assert connect.startup_message == to_server(V3_2)


def test_a_newer_minor_version_and_unknown_options_are_negotiated_down() -> None:
    shake = start()
    packet = startup(ProtocolVersion(3, 9999), **{"_pq_.feature": "on"})
    negotiated, look_up = feed(shake, packet)
    assert look_up == LookUp("app")
    assert negotiated == Send(protocol.negotiate_protocol_version(V3_2, ("_pq_.feature",)))
    connect = authenticate(shake, Login("app", make_verifier("s")), "s")[-1]
    assert isinstance(connect, Connect)
    assert connect.startup_message == to_server(V3_2)


@pytest.mark.parametrize("code", [2 << 16, 4 << 16, 0, 1234 << 16 | 5000])
def test_other_major_versions_are_refused(code: int) -> None:
    assert refusal(feed(start(), struct.pack("!II", 8, code)))[0] == "0A000"


def test_gss_encryption_is_declined_and_tls_may_follow() -> None:
    shake = start(Policy())
    assert feed(shake, GSSENC_REQUEST) == [Send(b"N")]
    assert feed(shake, SSL_REQUEST) == [Send(b"S"), StartTls()]


def test_a_request_for_encryption_is_answered_once() -> None:
    shake = start()
    feed(shake, GSSENC_REQUEST)
    assert refusal(feed(shake, GSSENC_REQUEST))[0] == "0A000"
    assert refusal(feed(in_tls(), SSL_REQUEST))[0] == "0A000"


def test_bytes_in_clear_behind_an_ssl_request_are_refused() -> None:
    # CVE-2021-23222: they would be taken for the first bytes inside TLS.
    shake = start()
    code, text = refusal(shake.receive(SSL_REQUEST + startup()))
    assert code == "08P01"
    assert "unencrypted data" in text


def test_after_an_ssl_request_nothing_more_is_read_in_clear() -> None:
    shake = start()
    feed(shake, SSL_REQUEST)
    assert shake.wants == 0


def test_direct_tls_needs_alpn() -> None:
    for alpn, refused in ((None, True), ("http/1.1", True), ("postgresql", False)):
        shake = start(Policy())
        assert shake.first_byte(protocol.TLS_HANDSHAKE_RECORD) == [StartTls()]
        actions = shake.tls_established(alpn=alpn, server_end_point=CERTIFICATE_HASH)
        assert bool(actions) == refused
    assert start().first_byte(0) == []


@pytest.mark.parametrize("key_bytes", [4, 32, 256])
def test_a_cancel_request_is_passed_on_whatever_the_policy(key_bytes: int) -> None:
    packet = struct.pack("!III", 12 + key_bytes, protocol.CANCEL_REQUEST, 77) + b"k" * key_bytes
    cancel = Cancel(BackendKey(77, b"k" * key_bytes), packet)
    assert feed(start(Policy(require_tls=True)), packet) == [cancel]
    assert feed(in_tls(), packet) == [cancel]
    turned_away = start()
    turned_away.refusal = Refusal("53300", "no place")
    assert feed(turned_away, packet) == [cancel]


@pytest.mark.parametrize("key_bytes", [0, 257])
def test_a_cancel_request_of_another_length_is_refused(key_bytes: int) -> None:
    packet = struct.pack("!III", 12 + key_bytes, protocol.CANCEL_REQUEST, 77) + b"k" * key_bytes
    assert refusal(feed(start(), packet))[0] == "08P01"


@pytest.mark.parametrize("length", [0, 7, protocol.STARTUP_BYTES_MAX + 1, 0xFFFFFFFF])
def test_a_startup_packet_of_a_wrong_length_is_refused_before_its_body_is_read(length: int) -> None:
    assert refusal(feed(start(), struct.pack("!I", length)))[0] == "08P01"


def test_a_startup_message_of_10_kilobytes_is_read() -> None:
    """As PostgreSQL has it, less what the gateway adds."""
    shake = start()
    longest = startup(options="x" * (protocol.STARTUP_BYTES_MAX - len(startup(options=""))))
    assert feed(shake, longest) == [LookUp("app")]
    connect = authenticate(shake, Login("app", make_verifier("s")), "s")[-1]
    assert isinstance(connect, Connect)
    assert len(longest) < len(connect.startup_message) <= 10_000


@pytest.mark.parametrize(
    "body", [b"", b"user\0app", b"user\0app\0", b"user\0\0", b"\0x\0\0", b"user\0app\0\0\0"]
)
def test_a_malformed_startup_message_is_refused(body: bytes) -> None:
    packet = struct.pack("!II", len(body) + 8, V3_0.code) + body
    assert refusal(feed(start(), packet))[0] in ("08P01", "28000")


def test_parameters_that_are_not_utf8_are_refused() -> None:
    body = b"user\0\xff\xfe\0\0"
    packet = struct.pack("!II", len(body) + 8, V3_0.code) + body
    assert refusal(feed(start(), packet))[0] == "22021"


@pytest.mark.parametrize(
    "message",
    [
        protocol.message(b"Q", b"select 1\0"),
        b"p" + struct.pack("!I", 3),
        b"p" + struct.pack("!I", protocol.CREDENTIAL_BYTES_MAX + 1),
        sasl_first("SCRAM-SHA-1"),
        sasl_first("SCRAM-SHA-256-PLUS"),
        sasl_first(data=b"p=tls-server-end-point,,n=,r=x"),
        sasl_first(data=b"n,a=admin,n=,r=x"),
        sasl_first(data=b"garbage"),
        protocol.message(b"p", b"SCRAM-SHA-256\0\x00\x00\x00\x09n,,"),
        protocol.message(b"p", b"SCRAM-SHA-256"),
    ],
)
def test_a_malformed_answer_to_the_password_request_is_refused(message: bytes) -> None:
    shake = start()
    feed(shake, startup())
    shake.login_found(None, now=NOW)
    assert refusal(feed(shake, message))[0] == "08P01"


def test_the_end_of_time_is_told_to_the_client_once() -> None:
    shake = start()
    assert refusal(shake.timed_out())[0] == "57014"
    assert shake.timed_out() == []


def test_a_client_that_closes_is_let_go() -> None:
    (close,) = start().receive(b"")
    assert isinstance(close, Close)


def test_no_action_shows_a_credential_in_its_repr() -> None:
    shake = in_tls()
    feed(shake, startup())
    verifier = make_verifier("s3cret")
    shake.login_found(Login("app", verifier, iam=True), now=NOW)
    shown = repr(feed(shake, password("hunter2")))
    assert "hunter2" not in shown
    assert verifier not in shown


chunks = st.integers(min_value=1, max_value=64)
packets = st.one_of(
    st.just(SSL_REQUEST),
    st.just(GSSENC_REQUEST),
    st.just(startup()),
    st.just(startup(V3_2, database="d")),
    st.just(startup(options="-c borealis.auth=iam")),
    st.just(sasl_first()),
    st.just(password("pw")),
    st.binary(max_size=64),
    st.builds(
        lambda code, body: struct.pack("!II", 8 + len(body), code) + body,
        st.sampled_from([V3_0.code, V3_2.code, protocol.CANCEL_REQUEST]),
        st.binary(max_size=64),
    ),
    st.builds(protocol.message, st.sampled_from([b"p", b"Q", b"X"]), st.binary(max_size=64)),
)


def run(
    stream: bytes, policy: Policy, login: Login | None, chunk: int
) -> tuple[list[Action], State]:
    """A whole conversation: the driver's part done at once, until the bytes are used up."""
    shake = start(policy)
    actions: list[Action] = []
    pending = shake.first_byte(stream[0]) if stream else []
    while True:
        actions += pending
        match pending[-1] if pending else None:
            case StartTls():
                pending = shake.tls_established(alpn=None, server_end_point=CERTIFICATE_HASH)
            case LookUp():
                pending = shake.login_found(login, now=NOW)
            case CheckToken():
                pending = shake.token_checked(False)
            case Close() | Cancel() | Connect():
                return actions, shake.state
            case _:
                limit = min(shake.wants, chunk, len(stream))
                if not limit:
                    return actions, shake.state
                pending, stream = shake.receive(stream[:limit]), stream[limit:]


@given(
    stream=st.lists(packets, max_size=6).map(b"".join),
    policy=st.builds(Policy, st.booleans(), st.booleans()),
    login=st.sampled_from([None, Login("app", iam=True), Login("app", VERIFIER, iam=True)]),
    chunk=chunks,
)
def test_whatever_arrives_is_answered_and_chunking_changes_nothing(
    stream: bytes, policy: Policy, login: Login | None, chunk: int
) -> None:
    actions, state = run(stream, policy, login, chunk)
    assert (actions, state) == run(stream, policy, login, 1 << 20)
    assert not any(isinstance(action, Connect) for action in actions)
    # Either it waits for more bytes, or the client knows how it ended.
    waiting = state in {State.STARTUP, State.SASL, State.SASL_FINAL, State.TOKEN, State.TLS}
    assert waiting or isinstance(actions[-1], Close | Cancel)
    if isinstance(actions[-1] if actions else None, Close) and not policy.require_tls:
        assert isinstance(actions[-2], Send)


KEY_DATA = protocol.message(b"K", struct.pack("!I", 77) + b"k" * 32)
READY = protocol.message(b"Z", b"I")
STATUS = protocol.message(b"S", b"server_version\x0018\0")


def from_server(sqlstate: str, kind: bytes = b"E") -> bytes:
    return kind + protocol.fatal(sqlstate, "text")[1:]


@given(data=st.binary(max_size=50), cut=st.integers(0, 300))
def test_the_servers_greeting_is_understood_in_any_chunks(data: bytes, cut: int) -> None:
    begun = protocol.AUTHENTICATION_OK + STATUS + KEY_DATA
    answer = protocol.negotiate_protocol_version(V3_0, ()) + begun + READY + data
    early = read_greeting(answer[:cut])
    whole = read_greeting(answer)
    assert whole is not None
    assert whole.key == BackendKey(77, b"k" * 32)
    assert whole.for_client() == begun + READY + data
    assert whole.for_client(b"notice") == begun + b"notice" + READY + data
    assert early is None or early.for_client() + answer[cut:] == whole.for_client()
    assert (early is None) == (cut < len(answer) - len(data))


def test_a_login_triggers_words_are_not_held_back() -> None:
    words = from_server("00000", b"N")
    greeting = read_greeting(protocol.AUTHENTICATION_OK + words + KEY_DATA + words)
    assert greeting is not None
    assert greeting.for_client() == protocol.AUTHENTICATION_OK + words + KEY_DATA + words


def test_the_servers_refusal_is_passed_on_without_words_of_ours() -> None:
    for before in (b"", protocol.AUTHENTICATION_OK + STATUS):
        greeting = read_greeting(before + from_server("3D000"))
        assert greeting is not None
        assert greeting.key is None
        assert greeting.for_client(b"notice") == before + from_server("3D000")


@pytest.mark.parametrize("sqlstate", ["57P01", "57P02", "57P03"])
@pytest.mark.parametrize("kind", [b"E", b"N"])
@pytest.mark.parametrize("before", [b"", protocol.AUTHENTICATION_OK + STATUS + KEY_DATA])
def test_a_server_that_goes_away_in_its_greeting_can_be_asked_again(
    sqlstate: str, kind: bytes, before: bytes
) -> None:
    with pytest.raises(InstanceGoneError):
        read_greeting(before + from_server(sqlstate, kind))


@pytest.mark.parametrize(
    "answer",
    [
        protocol.AUTHENTICATION_CLEARTEXT_PASSWORD,
        protocol.authentication_sasl(("SCRAM-SHA-256",)),
        protocol.message(b"D", b"row"),
        protocol.AUTHENTICATION_OK + READY,
        b"HTTP/1.1 400",
    ],
)
def test_a_server_that_does_not_behave_is_not_answered(answer: bytes) -> None:
    with pytest.raises(protocol.ProtocolError):
        read_greeting(answer)


def test_at_the_shared_port_the_endpoint_is_found_before_anything_is_decided() -> None:
    shake = start(None)
    assert feed(shake, startup(options="endpoint=notes -c x=y")) == [FindEndpoint("notes")]
    assert shake.endpoint_found(IN_CLEAR) == [LookUp("app")]
    _, connect = authenticate(shake, Login("app", make_verifier("s3cret")), "s3cret")
    assert isinstance(connect, Connect)
    assert b"endpoint" not in connect.startup_message
    assert b"-c x=y" in connect.startup_message


def test_at_the_shared_port_the_demands_of_the_endpoint_count() -> None:
    shake = start(None)
    assert feed(shake, startup()) == [FindEndpoint(None)]
    assert refusal(shake.endpoint_found(Policy(require_tls=True)))[0] == "28000"
    assert shake.endpoint_found(Policy()) == []


def test_at_the_shared_port_who_is_turned_away_hears_that_first() -> None:
    shake = start(None)
    shake.refusal = Refusal("53300", "no place")
    assert refusal(feed(shake, startup())) == ("53300", "no place")


def test_at_its_own_port_an_endpoint_that_is_named_is_looked_for_too() -> None:
    shake = start()
    assert feed(shake, startup(options="endpoint=other")) == [FindEndpoint("other")]
    assert refusal(shake.refuse("08004", "another one")) == ("08004", "another one")


def test_a_cancel_request_at_the_shared_port_names_no_endpoint() -> None:
    key = BackendKey(7, b"1234")
    packet = struct.pack("!III", 16, protocol.CANCEL_REQUEST, key.pid) + key.secret
    assert feed(start(None), packet) == [Cancel(key, packet)]
