"""Who may use the endpoint: those with the key, at its own name, here, as this user."""

import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from cluster_runtime.api import Credentials, EndpointUnreachableError, HostClient
from cluster_runtime.api.access.signature import HttpRequest, SigningKey, signed_headers
from cluster_runtime.api.client.transport import Address, HttpAnswer, Line, post
from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.errors import BorealisError, StateDirectoryError
from tests.cluster_runtime.api.conftest import REGION, Endpoint, Refused
from tests.waiting import wait_until

NOBODY = 65534
FORM = b"Action=DescribeDBClusters&Version=2014-10-31"


def ask(
    endpoint: Endpoint,
    *,
    form: bytes = FORM,
    line: Line | None = None,
    later: timedelta = timedelta(0),
    after: dict[str, str] | None = None,
    **headers: str,
) -> HttpAnswer:
    """A signed request.

    line: which another thread may break off; later: when it was signed; after: headers that come on
    top, unsigned.
    """
    address = Address.of(endpoint.url)
    key_id, key = endpoint.credentials.first
    given = {"host": address.host_header, "content-type": "application/x-www-form-urlencoded"}
    signed = signed_headers(
        HttpRequest("POST", "/", "", {**given, **headers}, form),
        access_key_id=key_id,
        key=key,
        region=REGION,
        service="rds",
        now=endpoint.clock() + later,
    )
    return post(address, {**signed, **(after or {})}, form, line=line)


def test_a_signed_request_is_answered(endpoint: Endpoint) -> None:
    answer = ask(endpoint)
    assert answer.status == 200
    assert b"<DescribeDBClustersResult>" in answer.body


def test_one_that_is_not_signed_is_refused(endpoint: Endpoint) -> None:
    address = Address.of(endpoint.url)
    answer = post(address, {"host": address.host_header}, FORM)
    assert answer.status == 403
    assert b"<Code>MissingAuthenticationToken</Code>" in answer.body


def test_one_with_a_wrong_key_is_refused(endpoint: Endpoint, refused: Refused) -> None:
    wrong = endpoint.client("rds", aws_secret_access_key="wrong")
    assert refused(wrong.describe_db_clusters) == ("SignatureDoesNotMatch", 403)
    unknown = endpoint.client("rds", aws_access_key_id="AKIAUNKNOWN")
    assert refused(unknown.describe_db_clusters) == ("InvalidClientTokenId", 403)


def test_one_that_is_sent_again_after_fifteen_minutes_is_refused(endpoint: Endpoint) -> None:
    address = Address.of(endpoint.url)
    key_id, key = endpoint.credentials.first
    headers = signed_headers(
        HttpRequest("POST", "/", "", {"host": address.host_header}, FORM),
        access_key_id=key_id,
        key=key,
        region=REGION,
        service="rds",
        now=endpoint.clock(),
    )
    assert post(address, headers, FORM).status == 200
    endpoint.clock.off = timedelta(minutes=14, seconds=30)
    try:
        assert post(address, headers, FORM).status == 200
        endpoint.clock.off = timedelta(minutes=15, seconds=30)
        late = post(address, headers, FORM)
    finally:
        endpoint.clock.off = timedelta(0)
    assert late.status == 403
    assert b"Signature expired" in late.body


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_one_for_another_host_is_refused_though_it_is_signed(endpoint: Endpoint, host: str) -> None:
    answer = ask(endpoint, host=host)
    assert answer.status == 403
    assert b"<Code>AccessDenied</Code>" in answer.body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST:99"])
def test_its_own_names_are_taken(endpoint: Endpoint, host: str) -> None:
    assert ask(endpoint, host=host).status == 200


@pytest.mark.parametrize(
    "header",
    [
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "null"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-mode": "no-cors"},
    ],
)
def test_one_that_a_browser_sends_is_refused(endpoint: Endpoint, header: dict[str, str]) -> None:
    answer = ask(endpoint, after=header)
    assert answer.status == 403
    assert b"no browser" in answer.body


def test_no_answer_allows_other_origins(endpoint: Endpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.facts.endpoint_port)
    connection.request("OPTIONS", "/", headers={"Origin": "http://evil.example"})
    response = connection.getresponse()
    names = {name.lower() for name, _ in response.getheaders()}
    connection.close()
    assert response.status == 403
    assert not any(name.startswith("access-control") for name in names)


def ask_ours(
    endpoint: Endpoint, address: Address, operation: str, **parameters: object
) -> HttpAnswer:
    """A signed call of the service `borealis`."""
    key_id, key = endpoint.credentials.first
    body = json.dumps(parameters).encode()
    target = {"host": address.host_header, "x-amz-target": f"Borealis.{operation}"}
    signed = signed_headers(
        HttpRequest("POST", "/", "", target, body),
        access_key_id=key_id,
        key=key,
        region=REGION,
        service="borealis",
        now=endpoint.clock(),
    )
    return post(address, signed, body)


OF_THE_HOST = [
    ("ExportDBClusterSnapshot", {"db_cluster_snapshot_identifier": "s"}, "file"),
    ("ImportDBClusterSnapshot", {"db_cluster_snapshot_identifier": "s"}, "file"),
    ("ModifyBackupStore", {}, "location"),
    (
        "RestoreDBClusterToPointInTime",
        {"db_cluster_identifier": "c", "use_latest_restorable_time": True},
        "backup_location",
    ),
    ("CreateDBCluster", {"db_cluster_identifier": "c"}, "engine_version"),
]


@pytest.mark.parametrize(("operation", "given", "name"), OF_THE_HOST)
def test_who_has_the_key_alone_reaches_no_file_of_the_host_s(
    endpoint: Endpoint, tmp_path: Path, operation: str, given: dict[str, object], name: str
) -> None:
    place = tmp_path / "place"
    answer = ask_ours(endpoint, Address.of(endpoint.url), operation, **given, **{name: str(place)})
    assert answer.status == 403
    assert b"only its user may name that" in answer.body
    assert not place.exists()
    # Its user may: what is refused then is another thing.
    by_socket = Address(path=endpoint.facts.socket)
    answer = ask_ours(endpoint, by_socket, operation, **given, **{name: "/dev/null/x"})
    assert answer.status != 403
    assert b"only its user" not in answer.body


def test_the_operations_that_lead_to_the_host_are_those(endpoint: Endpoint) -> None:
    found = {
        (each.name, field.name)
        for each in OPERATIONS
        for field in each.parameters
        if field.leads_to_the_host("/x")
    }
    assert found == {(operation, name) for operation, _, name in OF_THE_HOST}
    words = ("file", "path", "location", "directory", "folder", "engine_version")
    named = {
        (each.name, field.name)
        for each in OPERATIONS
        for field in each.parameters
        if any(word in field.name.split("_") or word == field.name for word in words)
        and not each.name.startswith(("Describe", "Download"))
    }
    assert named <= found


def test_rds_s_engine_version_is_no_program_of_the_host(
    endpoint: Endpoint, refused: Refused, tmp_path: Path
) -> None:
    for program in ("postgres", "initdb"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        path.chmod(0o755)
    create = endpoint.client("rds").create_db_cluster
    given = {"DBClusterIdentifier": "c", "Engine": "aurora-postgresql"}
    told = refused(create, **given, EngineVersion=str(tmp_path), WithExpressConfiguration=True)
    assert told == ("AccessDenied", 403)
    assert not (tmp_path / "ran").exists()


def test_a_region_that_is_not_the_clusters_is_named(endpoint: Endpoint) -> None:
    client = endpoint.client("rds", region_name="eu-west-1")
    with pytest.raises(client.exceptions.ClientError, match="are in us-east-1"):
        client.describe_db_clusters()


def test_a_service_that_there_is_not_is_refused(endpoint: Endpoint, refused: Refused) -> None:
    logs = endpoint.client("logs")
    assert refused(logs.describe_log_groups) == ("AccessDenied", 403)


def test_a_request_that_is_too_large_is_refused(endpoint: Endpoint) -> None:
    address = Address.of(endpoint.url)
    try:
        answer = post(address, {"host": address.host_header}, b"x" * (1 << 21))
    except EndpointUnreachableError:
        return  # it hung up while we were still sending
    assert answer.status == 413


CREATE = (
    b"Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier=left&Engine=aurora-postgresql"
    b"&WithExpressConfiguration=true"
)


def test_what_rds_was_told_to_do_goes_on_when_its_caller_leaves(endpoint: Endpoint) -> None:
    used, line = endpoint.runtime._home.door.application.used, Line()

    def leave() -> None:
        wait_until(lambda: used.calls)
        line.break_off()

    leaving = threading.Thread(target=leave)
    leaving.start()
    with pytest.raises(EndpointUnreachableError) as raised:
        ask(endpoint, form=CREATE, line=line)
    assert raised.value.sent
    leaving.join()
    wait_until(lambda: not used.calls)
    endpoint.runtime.delete_db_cluster("left")


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "POST /operations/X HTTP/1.1"])
def test_anything_but_a_post_of_the_root_is_refused(endpoint: Endpoint, line: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(endpoint.facts.socket))
        sock.sendall(f"{line}\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 405 ")


def test_it_listens_on_the_loopback_alone(endpoint: Endpoint) -> None:
    with socket.create_connection(("127.0.0.1", endpoint.facts.endpoint_port or 0)) as conn:
        assert conn.getpeername()[0] == "127.0.0.1"
    others = [
        info[4][0]
        for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        if not str(info[4][0]).startswith("127.")
    ]
    for address in others:
        with pytest.raises(OSError, match=r"refused|unreachable"):
            socket.create_connection((address, endpoint.facts.endpoint_port or 0), timeout=60)


CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid({uid}); os.setuid({uid})
for path in sys.argv[1:]:
    try:
        if path.endswith("credentials"):
            open(path).close()
        else:
            socket.socket(socket.AF_UNIX).connect(path)
    except PermissionError:
        print("refused")
    else:
        print("open")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_another_user_opens_neither_the_socket_nor_the_keys(endpoint: Endpoint) -> None:
    paths = [str(endpoint.facts.socket), str(endpoint.state_dir / "credentials")]
    done = subprocess.run(
        [sys.executable, "-c", CONNECT.format(uid=NOBODY), *paths], capture_output=True, text=True
    )
    assert done.stdout.split() == ["refused", "refused"], done.stderr


def test_the_socket_and_the_keys_are_private(endpoint: Endpoint) -> None:
    path = endpoint.facts.socket
    assert path == endpoint.state_dir / "host.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((endpoint.state_dir / "credentials").stat().st_mode) == 0o600


def test_requests_on_the_socket_are_signed_too(endpoint: Endpoint) -> None:
    address = Address(path=endpoint.facts.socket)
    assert post(address, {"host": "localhost"}, FORM).status == 403
    assert HostClient.of(endpoint.state_dir).call("DescribeHost")["region"] == REGION
    key_id, _ = endpoint.credentials.first
    wrong = HostClient(endpoint.facts.socket, key_id, SigningKey("wrong"))
    with pytest.raises(BorealisError, match="check the secret key"):
        wrong.call("DescribeHost")


def test_a_directory_without_a_key_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateDirectoryError, match="holds no access key"):
        Credentials.read(tmp_path)


def test_nobody_at_an_address_is_said(tmp_path: Path) -> None:
    with pytest.raises(EndpointUnreachableError, match=r"is its host running\?"):
        HostClient(tmp_path / "host.sock", "id", SigningKey("secret")).call("DescribeHost")
