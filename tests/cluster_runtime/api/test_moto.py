"""`RdsControlPlane` against a server of the RDS API that nobody here wrote: moto's.

moto makes no writer in the express configuration, so its clusters are made without that.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.session import Session
from moto.server import ThreadedMotoServer

from cluster_runtime import ClusterStatus, RdsControlPlane, ServerlessScaling, Tag
from cluster_runtime.errors import (
    ClusterNotFoundError,
    OperationNotSupportedError,
)

PASSWORD = "a-long-password"


@pytest.fixture(scope="module")
def moto() -> Iterator[RdsControlPlane]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = Session()
    session.set_credentials("testing", "testing")
    yield RdsControlPlane(f"http://{host}:{port}", region="us-east-1", session=session)
    server.stop()


@pytest.fixture
def made(moto: RdsControlPlane) -> Iterator[Any]:
    # moto names automated snapshots by the minute, so each test has a name of its own.
    name = f"notes-{uuid.uuid4().hex[:8]}"
    cluster = moto.create_db_cluster(
        name,
        with_express_configuration=False,
        master_username="owner",
        master_user_password=PASSWORD,
        tags=(Tag("for", "a test"),),
    )
    yield cluster
    moto.delete_db_cluster(name)


def test_a_cluster_has_a_writer_and_the_facts_that_were_asked_for(made: Any) -> None:
    facts = made.describe()
    assert made.identifier.startswith("notes-")
    assert facts.status is ClusterStatus.AVAILABLE
    assert facts.master_username == "owner"
    assert facts.tag_list == (Tag("for", "a test"),)
    assert (datetime.now(UTC) - facts.cluster_create_time).total_seconds() < 60
    (writer,) = made.instances
    assert writer.db_instance_identifier == f"{made.identifier}-instance-1"
    assert writer.db_instance_class == "db.serverless"


def test_its_dsn_carries_a_token_for_its_endpoint(made: Any) -> None:
    dsn = made.dsn(dbname="other")
    facts = made.describe()
    assert f"@{facts.endpoint}:{facts.port}/other?sslmode=verify-full&sslrootcert=system" in dsn
    assert "Action%3Dconnect%26DBUser%3Downer" in dsn
    assert "hostaddr" not in dsn


def test_it_is_changed_stopped_and_started(moto: RdsControlPlane, made: Any) -> None:
    scaling = ServerlessScaling(1, 4, 600)
    moto.modify_db_cluster(made.identifier, serverless_v2_scaling_configuration=scaling)
    assert made.describe().scaling.max_capacity == 4
    assert moto.stop_db_cluster(made.id).status is ClusterStatus.STOPPED
    assert moto.start_db_cluster(made.identifier).status is ClusterStatus.AVAILABLE


def test_tags(moto: RdsControlPlane, made: Any) -> None:
    arn = f"arn:aws:rds:us-east-1:123456789012:cluster:{made.identifier}"
    moto.add_tags_to_resource(arn, [Tag("b", "2")])
    moto.remove_tags_from_resource(arn, ["for"])
    assert moto.list_tags_for_resource(arn) == [Tag("b", "2")]


def test_errors_are_ours(moto: RdsControlPlane, made: Any) -> None:
    with pytest.raises(ClusterNotFoundError):
        moto.cluster("nothing")
    with pytest.raises(OperationNotSupportedError):
        moto.pause_db_cluster(made.identifier)
