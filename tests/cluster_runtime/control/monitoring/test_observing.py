"""What a server is asked once a second, by whom, and that it is one thing."""

import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.control import instance
from cluster_runtime.control.admin import AdminConnection, Statement
from tests.waiting import wait_until


def test_one_question_serves_health_lag_and_metrics(
    runtime: Runtime, cluster: ClusterHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Statement] = []
    execute = AdminConnection.execute

    async def heard(self: AdminConnection, statement: Statement, *values: object) -> object:
        asked.append(statement)
        return await execute(self, statement, *values)

    runtime.create_db_instance("reading", db_cluster_identifier=cluster.id)
    hosted = runtime._home.service.find(cluster.id)
    with cluster.connect():
        wait_until(lambda: "reading" in hosted.lag, 60)
        hosted.lag.clear()
        monkeypatch.setattr(AdminConnection, "execute", heard)
        wait_until(lambda: asked.count(instance.OBSERVED) >= 6, 60)
        monkeypatch.setattr(AdminConnection, "execute", execute)
    assert set(asked) == {instance.OBSERVED}
    assert "reading" in hosted.lag
