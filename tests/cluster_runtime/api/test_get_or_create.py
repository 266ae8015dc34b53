"""`if_not_exists` is the same over the RDS API, which has no such parameter, and over ours."""

import pytest
from botocore.session import Session

from cluster_runtime.api import RdsControlPlane
from cluster_runtime.errors import ClusterAlreadyExistsError
from tests.cluster_runtime.api.conftest import REGION, Endpoint


@pytest.mark.parametrize("rds_api", [True, False], ids=["rds", "ours"])
def test_a_cluster_that_exists_is_returned(endpoint: Endpoint, rds_api: bool) -> None:
    session = Session()
    session.set_credentials(
        endpoint.keys["aws_access_key_id"], endpoint.keys["aws_secret_access_key"]
    )
    plane = RdsControlPlane(endpoint.url, region=REGION, session=session, rds_api=rds_api)
    made = plane.create_db_cluster("twice", if_not_exists=True)
    assert plane.create_db_cluster("Twice", if_not_exists=True).id == made.id
    with pytest.raises(ClusterAlreadyExistsError):
        plane.create_db_cluster("twice")
    endpoint.runtime.delete_db_cluster("twice")
