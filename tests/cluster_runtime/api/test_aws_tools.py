"""AWS's own tools, unchanged, each in an environment of its own, create and use clusters here."""

import json
import os
import shutil
import subprocess
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.cluster_runtime.api.conftest import REGION, Endpoint

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
INSTALL_TIMEOUT_S = 900
ENGINE = "aurora-postgresql"
Program = Callable[[str, str], Path]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Install a package from PyPI into a new environment; the path of one of its programs."""

    def install(package: str, name: str) -> Path:
        home = tmp_path_factory.mktemp(name)
        venv.create(home, with_pip=True, symlinks=True)
        subprocess.run(
            [home / "bin" / "pip", "install", "--quiet", package],
            check=True,
            timeout=INSTALL_TIMEOUT_S,
            start_new_session=True,
        )
        return home / "bin" / name

    return install


@pytest.fixture(scope="module")
def environment(endpoint: Endpoint) -> dict[str, str]:
    """What AWS's tools are told, and nothing of this process's own AWS settings.

    PGHOSTADDR: not every machine resolves names under .localhost.
    """
    mine = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**mine, **endpoint.environment, "PGHOSTADDR": "127.0.0.1"}


def test_the_aws_command_line_creates_a_cluster_and_psql_connects_to_it(
    endpoint: Endpoint, program: Program, environment: dict[str, str]
) -> None:
    command = program("awscli", "aws")

    def aws(*arguments: str) -> str:
        # Version 1 has addresses of its own for RDS, which only this option overrides.
        line = [command, "--endpoint-url", endpoint.url, "rds", *arguments]
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    named = ("--db-cluster-identifier", "shell")
    aws("create-db-cluster", *named, "--engine", ENGINE, "--with-express-configuration")
    aws("wait", "db-cluster-available", *named)
    (facts,) = json.loads(aws("describe-db-clusters", *named))["DBClusters"]
    where = ("--hostname", facts["Endpoint"], "--port", str(facts["Port"]))
    token = aws("generate-db-auth-token", *where, "--username", "postgres", "--region", REGION)

    certificate = endpoint.runtime.describe_host().certificate_path
    dsn = (
        f"host={facts['Endpoint']} port={facts['Port']} user=postgres dbname=postgres "
        f"sslmode=verify-full sslrootcert={certificate}"
    )
    if psql := shutil.which("psql"):
        done = subprocess.run(
            [psql, dsn, "-tAc", "select 6 * 7"],
            env={**environment, "PGPASSWORD": token},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == "42", done.stderr
    with psycopg.connect(dsn, hostaddr="127.0.0.1", password=token) as conn:
        assert conn.execute("select 6 * 7").fetchone() == (42,)

    instance = ("--db-instance-identifier", "shell-instance-1")
    log = ("--log-file-name", "error/postgresql.log", "--starting-token", "0")
    text = aws("download-db-log-file-portion", *instance, *log, "--output", "text")
    assert "database system is ready" in text
    aws("delete-db-instance", *instance, "--skip-final-snapshot")
    aws("wait", "db-instance-deleted", *instance)
    aws("delete-db-cluster", *named, "--skip-final-snapshot")
    aws("wait", "db-cluster-deleted", *named)


async def call(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    text = "\n".join(part.text for part in result.content if hasattr(part, "text"))
    assert not result.is_error, text
    return text


async def test_the_mcp_server_of_aws_creates_a_cluster_and_runs_queries(
    endpoint: Endpoint, program: Program, environment: dict[str, str], tmp_path: Path
) -> None:
    package = "awslabs.postgres-mcp-server"
    command = program(f"{package}>=1.2.2", package)
    certificate = endpoint.runtime.describe_host().certificate_path
    server = StdioServerParameters(
        command=str(command),
        args=["--ca_bundle", certificate, "--allow_write_query"],
        env=environment,
    )
    with (tmp_path / "log").open("w+") as log:
        async with Client(stdio_client(server, errlog=log)) as client:
            made = json.loads(
                await call(
                    client,
                    "create_cluster",
                    region=REGION,
                    cluster_identifier="agents",
                    with_express_configuration=True,
                )
            )
            facts = endpoint.runtime.cluster("agents").describe()
            assert made["db_endpoint"] == facts.endpoint
            token = {
                "connection_method": "pgwire_iam",  # PG_WIRE_IAM_PROTOCOL
                "cluster_identifier": "agents",
                "db_endpoint": facts.endpoint,
                "database": "postgres",
            }
            await call(client, "run_query", sql="create table t (x int, y text)", **token)
            await call(client, "run_query", sql="insert into t values (42, 'found')", **token)
            assert "found" in await call(client, "run_query", sql="select y from t", **token)
            schema = await call(client, "get_table_schema", table_name="t", **token)
            assert "integer" in schema

            endpoint.runtime.modify_db_cluster("agents", manage_master_user_password=True)
            await call(
                client,
                "connect_to_database",
                region=REGION,
                database_type="APG",
                port=facts.port,
                **{**token, "connection_method": "pgwire"},
            )
            password = {**token, "connection_method": "pgwire"}  # PG_WIRE_PROTOCOL
            assert "found" in await call(client, "run_query", sql="select y from t", **password)
    attached = endpoint.client("iam").list_attached_user_policies(UserName="borealis")
    assert [each["PolicyName"] for each in attached["AttachedPolicies"]] == [
        "AuroraIAMAuth-postgres"
    ]
