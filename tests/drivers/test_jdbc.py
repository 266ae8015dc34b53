"""PostgreSQL's JDBC driver by the shared port. (AWS's wrapper of it is on no registry of ours.)"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.drivers.conftest import PASSWORD, Aurora

pytestmark = pytest.mark.long

PROGRAM = """
import java.sql.*;
import java.util.Properties;

public class Program {
  public static void main(String[] given) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", "postgres");
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    properties.setProperty("sslmode", "verify-full");
    properties.setProperty("sslrootcert", given[1]);
    if (given.length > 2) properties.setProperty("options", given[2]);
    try (Connection connection = DriverManager.getConnection(given[0], properties);
         Statement statement = connection.createStatement();
         ResultSet rows = statement.executeQuery("select aurora_db_instance_identifier()")) {
      rows.next();
      System.out.println(rows.getString(1));
    }
  }
}
"""

PLACES = (Path("/usr/share/java"), Path.home() / ".m2/repository/org/postgresql/postgresql")


@pytest.fixture(scope="session")
def driver() -> Path:
    if shutil.which("java") is None:
        pytest.skip("no java on the search path")
    found = sorted(jar for place in PLACES for jar in place.rglob("postgresql*.jar"))
    if not found:
        pytest.skip("no JDBC driver: install libpostgresql-jdbc-java")
    return found[-1]


@pytest.mark.parametrize("kind", ["cluster", "instance", "option"])
def test_each_endpoint_is_reached(driver: Path, aurora: Aurora, tmp_path: Path, kind: str) -> None:
    instance = aurora.reader if kind == "instance" else aurora.writer
    host = aurora.instance(instance) if kind == "instance" else aurora.host
    host = "localhost" if kind == "option" else host
    (tmp_path / "Program.java").write_text(PROGRAM)
    (tmp_path / "hosts").write_text(f"127.0.0.1 localhost {host}\n")
    options = ["endpoint=notes"] if kind == "option" else []
    done = subprocess.run(
        [
            "java",
            f"-Djdk.net.hosts.file={tmp_path / 'hosts'}",
            "-cp",
            str(driver),
            str(tmp_path / "Program.java"),
            f"jdbc:postgresql://{host}:{aurora.port}/postgres",
            aurora.certificate,
            *options,
        ],
        env={**os.environ, "PGPASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == f"{instance}\n", done.stderr
