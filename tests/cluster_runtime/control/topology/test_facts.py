"""Which facts an instance tells: decided without a server."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    DBInstance,
    InstanceStatus,
)
from cluster_runtime.control.topology.facts import Progress, facts_of, same_topology

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CLUSTER = DBCluster(
    db_cluster_identifier="notes",
    db_cluster_resource_id="cluster-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    status=ClusterStatus.AVAILABLE,
    engine="aurora-postgresql",
    engine_version="18.6",
    database_name="postgres",
    master_username="postgres",
    endpoint="notes.cluster-abcdefghijkl.us-east-1.localhost",
    reader_endpoint="notes.cluster-ro-abcdefghijkl.us-east-1.localhost",
    port=5432,
    reader_port=5433,
    region="us-east-1",
    cluster_create_time=NOW,
)


def member(identifier: str, *, writer: bool = False) -> DBInstance:
    return DBInstance(
        db_instance_identifier=identifier,
        db_cluster_identifier="notes",
        db_instance_status=InstanceStatus.AVAILABLE,
        is_cluster_writer=writer,
        engine="aurora-postgresql",
        engine_version="18.6",
        instance_create_time=NOW,
    )


MEMBERS = [member("notes-instance-1", writer=True), member("notes-instance-2"), member("third")]


def test_each_instance_tells_itself_and_all_tell_the_same_of_the_cluster() -> None:
    told = facts_of(CLUSTER, MEMBERS, {}, ["vector"], NOW)
    assert list(told) == ["notes-instance-1", "notes-instance-2", "third"]
    assert [facts.server_id for facts in told.values()] == list(told)
    assert len({facts.members for facts in told.values()}) == 1
    assert told["third"].version == "18.6"


def test_one_is_the_writer_and_each_reader_keeps_an_id_of_its_own() -> None:
    first, again = (facts_of(CLUSTER, MEMBERS, {}, [], NOW)["third"].members for _ in range(2))
    sessions = [row.session_id for row in first]
    assert sessions[0] == "MASTER_SESSION_ID"
    assert len(set(sessions)) == 3
    assert first == again
    after = facts_of(
        CLUSTER, [member("third", writer=True), member("notes-instance-1")], {}, [], NOW
    )
    assert after["third"].members[0].session_id == "MASTER_SESSION_ID"


def test_the_settings_are_those_of_the_cluster() -> None:
    told = facts_of(CLUSTER, MEMBERS, {}, ["hstore", "vector"], NOW)["third"]
    assert told.settings == {
        "rds.extensions": "aurora_stat_utils, hstore, vector",
        "rds.force_ssl": "on",
    }
    in_clear = facts_of(replace(CLUSTER, require_tls=False), MEMBERS, {}, [], NOW)["third"]
    assert in_clear.settings["rds.force_ssl"] == "off"


def test_what_moves_all_the_time_is_no_other_topology() -> None:
    before = facts_of(CLUSTER, MEMBERS, {}, [], NOW)["third"]
    later = facts_of(
        CLUSTER, MEMBERS, {"third": Progress(current_read_lsn=9)}, [], NOW + timedelta(seconds=1)
    )["third"]
    assert before != later
    assert same_topology(before, later)
    for other in (
        facts_of(CLUSTER, MEMBERS, {}, [], NOW)["notes-instance-1"],
        facts_of(CLUSTER, [member("third", writer=True)], {}, [], NOW)["third"],
        facts_of(replace(CLUSTER, require_tls=False), MEMBERS, {}, [], NOW)["third"],
        facts_of(replace(CLUSTER, engine_version="18.7"), MEMBERS, {}, [], NOW)["third"],
    ):
        assert not same_topology(before, other)


identifiers = st.from_regex(r"[a-z](-?[a-z0-9]){0,20}", fullmatch=True)
numbers = st.none() | st.integers(0, 2**62)


@given(
    st.lists(identifiers, min_size=1, max_size=15, unique=True),
    st.dictionaries(identifiers, st.builds(Progress, numbers, numbers, numbers)),
)
def test_the_file_holds_every_member_once_in_ascii(
    names: list[str], progress: dict[str, Progress]
) -> None:
    members = [member(name, writer=at == 0) for at, name in enumerate(names)]
    for name, facts in facts_of(CLUSTER, members, progress, [], NOW).items():
        text = facts.text()
        assert text.isascii()
        said = json.loads(text)
        assert said["server_id"] == name
        assert [row["server_id"] for row in said["members"]] == names
        for row in said["members"]:
            known = progress.get(row["server_id"], Progress())
            assert row["durable_lsn"] == known.durable_lsn
            assert datetime.fromisoformat(row["last_update_timestamp"]) == NOW
