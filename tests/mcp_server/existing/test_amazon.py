"""A cluster of Amazon Aurora: the RDS API names its endpoint, and IAM tokens open it.

The API is a stub here; what the tokens open is a gateway of ours, which checks them as RDS does.
"""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from cluster_runtime import ClusterHandle
from cluster_runtime.engine.access.roles import READER
from mcp_server.cli.commands import main
from mcp_server.databases.amazon import aurora_cluster
from mcp_server.databases.existing import Databases
from mcp_server.errors import ScopeError
from mcp_server.server import build_database_server
from tests.mcp_server.conftest import Tools

ANSWER = """
<DescribeDBClustersResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/">
<DescribeDBClustersResult><DBClusters><DBCluster>
<DBClusterIdentifier>shop</DBClusterIdentifier><Status>available</Status>
<Endpoint>{host}</Endpoint><Port>{port}</Port><MasterUsername>postgres</MasterUsername>
<DatabaseName>{database}</DatabaseName>
<IAMDatabaseAuthenticationEnabled>{iam}</IAMDatabaseAuthenticationEnabled>
</DBCluster></DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>
"""
MISSING = """
<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>Sender</Type>
<Code>DBClusterNotFoundFault</Code><Message>DBCluster other not found.</Message></Error>
</ErrorResponse>
"""


class Api(HTTPServer):
    """RDS's DescribeDBClusters for one cluster, whose endpoint is a gateway of ours."""

    def __init__(self, shop: ClusterHandle) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        facts = shop.describe()
        self.arn = facts.db_cluster_arn
        self.facts = {
            "host": facts.endpoint,
            "port": facts.port,
            "database": facts.database_name,
            "iam": "true",
        }
        self.asked: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        wanted = form["DBClusterIdentifier"][0]
        self.server.asked.append(wanted)
        known = wanted in ("shop", self.server.arn)
        text = ANSWER.format(**self.server.facts) if known else MISSING
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def certificate(shop: ClusterHandle) -> Path:
    return Path(conninfo_to_dict(shop.dsn())["sslrootcert"])


@pytest.fixture
def region(shop: ClusterHandle) -> str:
    return shop.describe().region


@pytest.fixture
def api(shop: ClusterHandle, state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with Api(shop) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_RDS", f"http://127.0.0.1:{server.server_port}")
        credentials = state_dir / "state" / "credentials"
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")  # where no resolver knows .localhost
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("by", ["identifier", "arn"])
async def test_the_tools_read_a_cluster_with_tokens(
    api: Api, region: str, certificate: Path, by: str
) -> None:
    cluster = api.arn if by == "arn" else "shop"
    found = aurora_cluster(
        cluster, region if by == "identifier" else None, user=READER, ca_bundle=certificate
    )
    assert api.asked == [cluster]
    tools = Tools(build_database_server(Databases([found])))
    answer = await tools("run_query", sql="select current_user, count(*) from customers")
    assert answer["rows"] == [[READER, 3]]
    asked = await tools("ask", question="how many customers are there?")
    assert asked["result"]["rows"] == [[3]]


def test_each_connection_has_a_token_of_its_own_and_none_is_shown(
    api: Api, region: str, certificate: Path
) -> None:
    found = aurora_cluster("shop", region, ca_bundle=certificate)
    facts = conninfo_to_dict(found.dsn())
    assert facts["user"] == "postgres"
    assert "X-Amz-Signature" in facts["password"]
    assert facts["sslmode"] == "verify-full"
    assert "X-Amz" not in repr(found)


def test_a_server_with_another_certificate_gets_no_token(api: Api, region: str) -> None:
    found = aurora_cluster("shop", region)  # by the authorities of this machine
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        found.look()


def test_the_command_line_asks_such_a_cluster(
    api: Api, region: str, certificate: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    asking = ["ask", "shop", "how many customers are there?", "--region", region, "--json"]
    with pytest.raises(SystemExit) as ended:
        main([*asking, "--user", READER, "--ca-bundle", str(certificate)])
    assert not ended.value.code
    assert '"rows":[[3]]' in capfd.readouterr().out.replace(" ", "").replace("\n", "")


@pytest.mark.parametrize(
    ("cluster", "iam", "said"),
    [
        ("other", "true", "DBCluster other not found"),
        ("arn:aws:rds", "true", "is no ARN of a cluster"),
        ("shop", "false", "takes no IAM tokens"),
    ],
)
def test_a_cluster_that_cannot_be_read_says_why(
    api: Api, region: str, cluster: str, iam: str, said: str
) -> None:
    api.facts["iam"] = iam
    with pytest.raises(ScopeError, match=said):
        aurora_cluster(cluster, region)
