"""How connections to databases of others are made: secrets, poolers, and what stays behind."""

import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest

from mcp_server.databases.existing import Databases, ExistingDatabase, given, has_password, parse
from mcp_server.errors import ScopeError
from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.database import connecting
from mcp_server.nl2sql.database.connecting import connect_to_read, expect_version
from mcp_server.nl2sql.database.reader import Reader
from mcp_server.nl2sql.errors import UnsupportedServerError
from tests.mcp_server.existing.conftest import SECRET, PlainServer

MANGLED = [  # characters of a password that must be written as %XX
    "postgresql://clerk:s3cr3t@of-all@127.0.0.1/shop",
    "postgresql://clerk:s3cr3t/of-all@127.0.0.1/shop",
    "postgresql://clerk:s3cr3t:of@all@127.0.0.1/shop",
    "postgresql://clerk:s3cr3t%zzof-all@127.0.0.1/shop",
    "postgresql://clerk:s3cr3t[of-all@127.0.0.1:x/shop",
    "host=127.0.0.1 password='s3cr3t of-all",
    "host=127.0.0.1 passwort=s3cr3t-of-all",
    "s3cr3t-of-all",
    "",
]


@pytest.mark.parametrize("text", MANGLED)
def test_a_malformed_connection_string_is_never_quoted(text: str) -> None:
    with pytest.raises(ScopeError) as refused:
        parse(text)
    assert not [part for part in ("s3cr3t", "of-all", "all@") if part in str(refused.value)]
    assert refused.value.__cause__ is None
    with pytest.raises(psycopg.Error) as failed:
        Translator(text or "postgresql://[").translate("how many customers?")
    assert not [part for part in ("s3cr3t", "of-all") if part in str(failed.value)]


@pytest.mark.parametrize(
    ("text", "name", "dsn"),
    [
        ("postgresql://h/shop", "shop", "postgresql://h/shop"),
        ("postgres://u:p@h:5/shop?sslmode=require", "shop", None),
        ("crm=postgresql://h/shop?application_name=x", "crm", None),
        ("host=h dbname=shop", "shop", "host=h dbname=shop"),
        ("crm=host=h dbname=shop", "crm", "host=h dbname=shop"),
        ("postgresql://h", "database", None),
        ("postgresql://h/%D0%BA", "database", None),
        ("service=sales", "sales", "service=sales"),
    ],
)
def test_a_database_has_a_name(text: str, name: str, dsn: str | None) -> None:
    found = parse(text)
    assert found.identifier == name
    assert found.dsn() == (dsn or text.removeprefix("crm="))


def test_a_connection_string_is_in_no_repr() -> None:
    found = parse(f"shop=postgresql://clerk:{SECRET}@h/shop")
    assert SECRET not in repr(found) + str(found) + repr([found])
    assert repr(found) == "ExistingDatabase(identifier='shop')"


def test_connection_strings_come_from_the_environment_too() -> None:
    lines = {"BOREALIS_DATABASES": "a=postgresql://h/a\n\n  b=postgresql://h/b\n"}
    assert given([], lines) == ["a=postgresql://h/a", "b=postgresql://h/b"]
    assert given(["postgresql://h/c"], lines) == ["postgresql://h/c"]
    assert has_password("x=postgresql://u:p@h/d")
    assert not has_password("postgresql://u@h/d")


@pytest.mark.parametrize(
    ("user", "logs"), [("clerk", True), ("quiet", False), ("trusted", False), ("postgres", False)]
)
def test_what_the_server_writes_to_its_log_is_said_before(
    plain: PlainServer, user: str, logs: bool
) -> None:
    before = len(plain.logged())
    Reader(plain.dsn(user)).query("select 'canary' from customers where name <> 'canary2'")
    new = plain.logged(before)
    assert ("rewritten parse tree:" in new) is logs
    assert ("canary2" in new) is logs  # the statement itself, beside its tree
    said: list[str] = []
    Databases([ExistingDatabase("shop", plain.dsn(user))]).examine(said.append)
    assert any(f"alter role {user} set log_min_messages = fatal" in each for each in said) is logs
    assert any("is a superuser" in each for each in said) is (user == "postgres")


def test_nothing_is_made_and_nothing_is_left_set(plain: PlainServer) -> None:
    seen = (
        "select (select count(*) from pg_class), (select count(*) from pg_roles), "
        "(select count(*) from pg_db_role_setting), pg_current_xact_id_if_assigned()"
    )
    with plain.connect() as admin:
        before = admin.execute(seen).fetchone()
        (snapshot,) = admin.execute("select pg_snapshot_xmax(pg_current_snapshot())").fetchone()
        translator = Translator(plain.dsn())
        translator.translate("how many customers are there?")
        translator.close()
        Reader(plain.dsn()).query("select * from customers")
        assert admin.execute(seen).fetchone() == before
        after = admin.execute("select pg_snapshot_xmax(pg_current_snapshot())").fetchone()
        assert after == (snapshot,)  # no transaction wrote: none has got an id


def test_a_transaction_reads_unless_it_says_otherwise(plain: PlainServer) -> None:
    with (
        connect_to_read(plain.dsn()) as conn,
        pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
    ):
        conn.execute("create temporary table t (n int)")
    kept = f"{plain.dsn()}?options=-c%20work_mem%3D77kB"
    with connect_to_read(kept) as conn:
        assert conn.execute("show work_mem").fetchone() == ("77kB",)
        assert conn.execute("show default_transaction_read_only").fetchone() == ("on",)


def test_a_server_that_is_too_old_says_so(plain: PlainServer) -> None:
    class Old:
        class info:
            server_version = 140011

    with pytest.raises(UnsupportedServerError, match=r"PostgreSQL 14: .* needs 16 or newer"):
        expect_version(Old())


class Pooler:
    """Gives server connections to whoever begins a transaction next, as PgBouncer does, so that it
    takes no options; one server connection for all.
    """

    def __init__(self, port: int) -> None:
        self.behind = port
        self.refused = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            message = self._startup(client)
            if message is None:
                return
            if b"options\0" in message:
                self.refused += 1
                said = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
                client.sendall(b"E" + (len(said) + 4).to_bytes(4, "big") + said)
                return
            with socket.create_connection(("127.0.0.1", self.behind)) as server:
                server.sendall(message)
                back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
                back.start()
                self._copy(client, server)
                back.join()

    @staticmethod
    def _startup(client: socket.socket) -> bytes | None:
        while head := client.recv(8, socket.MSG_WAITALL):
            if int.from_bytes(head[4:], "big") >> 16 == 1234:  # TLS, GSSAPI, cancel
                client.sendall(b"N")
                continue
            return head + client.recv(int.from_bytes(head[:4], "big") - 8, socket.MSG_WAITALL)
        return None

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join()


@pytest.fixture
def pooler(plain: PlainServer) -> Iterator[Pooler]:
    made = Pooler(plain.port)
    yield made
    made.close()


def test_a_pooler_that_takes_no_options_is_read_all_the_same(
    plain: PlainServer, pooler: Pooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_without_options", set())
    dsn = plain.dsn().replace(str(plain.port), str(pooler.port))
    reader = Reader(dsn)
    assert reader.query("select count(*) from customers").rows == [(3,)]
    assert reader.query("select count(*) from customers").rows == [(3,)]
    assert pooler.refused == 1  # and is not asked again
    translator = Translator(dsn)
    assert translator.translate("how many customers are there?").sql
    # Nothing stays in the session that the next one in the pool would find.
    with translator._lender.lend() as loan:
        assert loan.kept
        changed = loan.conn.execute(
            "select name from pg_settings where source = 'session' and name <> 'client_encoding'"
        ).fetchall()
        prepared = loan.conn.execute("select count(*) from pg_prepared_statements").fetchone()
    translator.close()
    assert (changed, prepared) == ([], (0,))
