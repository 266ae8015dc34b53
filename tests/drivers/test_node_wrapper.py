"""The AWS Advanced NodeJS Wrapper from npm, unchanged, on a cluster."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.conftest import PASSWORD, Aurora

pytestmark = pytest.mark.long

PACKAGES = (
    "aws-advanced-nodejs-wrapper@2.0.1",
    "pg@8",
    "@aws-sdk/rds-signer@3",
    "@aws-sdk/credential-providers@3",
    "@opentelemetry/api@1",
)

NAMES = """
// Names under .localhost lead to this machine, as nss-myhostname has it, wherever the test runs.
import dns from "node:dns";
const { lookup } = dns;
dns.lookup = (name, options, done) => {
  if (!name.endsWith(".localhost")) return lookup(name, options, done);
  const answer = typeof options === "function" ? options : done;
  if (options && options.all) return answer(null, [{ address: "127.0.0.1", family: 4 }]);
  return answer(null, "127.0.0.1", 4);
};
"""

PROGRAM = """
import "./names.mjs";
import fs from "node:fs";
import readline from "node:readline";
import { AwsPGClient } from "aws-advanced-nodejs-wrapper/pg";

const given = JSON.parse(process.argv[2]);
const told = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (said) => console.log(JSON.stringify(said));
const client = new AwsPGClient({
  ...given, ssl: { ca: fs.readFileSync(given.certificate) }, plugins: given.plugins,
});
await client.connect();
const asked = "select pg_catalog.aurora_db_instance_identifier() as id";
say((await client.query(asked)).rows[0].id);
if (given.failover) {
  await told.next();
  try {
    await client.query(asked);
    say("no failover was seen");
  } catch (error) {
    say(error.constructor.name);
  }
  say((await client.query(asked)).rows[0].id);
}
await client.end();
process.exit(0);
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("no node and npm on the search path")
    made = tmp_path_factory.mktemp("node")
    (made / "package.json").write_text('{"type": "module", "private": true}')
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"npm installs nothing here: {done.stderr.strip()[-300:]}")
    (made / "names.mjs").write_text(NAMES)
    (made / "program.mjs").write_text(PROGRAM)
    return made


def started(folder: Path, aurora: Aurora, **given: Any) -> "subprocess.Popen[str]":
    told = {
        "host": aurora.host,
        "port": aurora.port,
        "user": "postgres",
        "database": "postgres",
        "certificate": aurora.certificate,
        "clusterInstanceHostPattern": f"?.{aurora.domain}",
        **given,
    }
    return subprocess.Popen(
        ["node", "program.mjs", json.dumps(told)],
        cwd=folder,
        env=aurora.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "given",
    [{"plugins": "", "password": PASSWORD}, {"plugins": "iam", "iamRegion": "us-east-1"}],
    ids=["password", "token"],
)
def test_it_connects_by_the_shared_port(
    folder: Path, aurora: Aurora, given: dict[str, Any]
) -> None:
    for host, instance in (
        (aurora.host, aurora.writer),
        (aurora.instance(aurora.reader), aurora.reader),
    ):
        with started(folder, aurora, **{**given, "host": host}) as program:
            said, errors = program.communicate(timeout=120)
            assert [json.loads(line) for line in said.splitlines()] == [instance], errors


def test_a_failover_leads_to_the_reader_that_is_the_writer_now(
    folder: Path, aurora: Aurora
) -> None:
    before, after = aurora.writer, aurora.reader
    with started(
        folder, aurora, plugins="failover2,iam", iamRegion="us-east-1", failover=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert json.loads(program.stdout.readline()) == before
        aurora.runtime.failover_db_cluster("notes")
        said, errors = program.communicate("over\n", timeout=180)
        assert [json.loads(line) for line in said.splitlines()] == [
            "FailoverSuccessError",
            after,
        ], errors
