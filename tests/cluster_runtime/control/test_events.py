"""What happens to a cluster is an event in RDS's categories, kept also after its end."""

import pytest

from cluster_runtime import Runtime, ServerlessScaling
from cluster_runtime.api.services.rds.events import CATEGORIES
from cluster_runtime.errors import QuorumLostError
from tests.waiting import wait_until


def test_the_life_of_a_cluster_is_told_in_the_categories_of_rds(runtime: Runtime) -> None:
    runtime.create_db_cluster("notes")
    runtime.create_db_cluster("other")
    runtime.failover_db_cluster("notes")
    runtime.stop_db_cluster("notes")
    runtime.start_db_cluster("notes")
    runtime.modify_db_cluster("notes", reset_settings=True)
    of_notes = runtime.describe_events("notes")
    runtime.delete_db_cluster("notes")
    assert [(each.event_categories, each.message) for each in of_notes[:-1]] == [
        (("creation",), "DB cluster created"),
        (("failover",), "Completed failover to DB instance: notes-instance-1"),
        (("notification",), "DB cluster stopped"),
        (("notification",), "DB cluster started"),
    ]
    assert of_notes[-1].event_categories == ("configuration change",)
    assert {each.source_type for each in of_notes} == {"db-cluster"}
    every = runtime.describe_events()
    assert (every[-1].source_identifier, every[-1].message) == ("notes", "DB cluster deleted")
    assert {category for each in every for category in each.event_categories} <= {*CATEGORIES}


def test_pauses_wakes_and_changes_are_told_in_the_words_of_rds(runtime: Runtime) -> None:
    def new() -> list[tuple[str, str]]:
        found = [(*each.event_categories, each.message) for each in runtime.describe_events("a")]
        told, seen[0] = found[seen[0] :], len(found)
        return told

    seen = [0]
    brief = ServerlessScaling(0, 8, 1)
    cluster = runtime.create_db_cluster("a", serverless_v2_scaling_configuration=brief)
    assert new() == [("creation", "DB cluster created")]
    assert wait_until(new, 30) == [("notification", "The DB cluster is paused.")]
    long = ServerlessScaling(0, 8, 86_400)
    runtime.modify_db_cluster("a", serverless_v2_scaling_configuration=long)
    said = "Finished applying modification to seconds until auto-pause: 86400"
    assert new() == [("configuration change", said)]
    with cluster.connect():
        pass
    assert wait_until(new, 30) == [("notification", "The DB cluster is resumed.")]
    runtime.pause_db_cluster("a")
    runtime.pause_db_cluster("a")
    assert new() == [("notification", "The DB cluster is paused.")]
    assert runtime.resume_db_cluster("a").capacity > 0
    assert not runtime.resume_db_cluster("a").paused
    assert wait_until(new, 30) == [("notification", "The DB cluster is resumed.")]
    runtime.failover_db_cluster("a")
    assert [category for category, _ in new()] == ["failover"], "no wake: it was not that"
    runtime.modify_db_cluster("a", deletion_protection=False)
    assert new() == [], "it was off already"
    runtime.modify_db_cluster(
        "a",
        new_db_cluster_identifier="b",
        master_user_password="correct-horse",
        storage_type="aurora-iopt1",
    )
    runtime.modify_db_cluster("b", new_db_cluster_identifier="a")
    assert new() == [
        ("notification", "Renamed cluster from a to b"),
        ("configuration change", "Reset master credentials"),
        ("configuration change", "Finished applying modification to storage type: aurora-iopt1"),
        ("notification", "Renamed cluster from b to a"),
    ]


def test_a_failover_that_does_not_complete_is_an_event(runtime: Runtime) -> None:
    runtime.create_db_cluster("notes")
    runtime.inject_fault("notes", "az:a", "crash")
    runtime.inject_fault("notes", "az:b", "crash")
    with pytest.raises(QuorumLostError):
        runtime.failover_db_cluster("notes")
    last = runtime.describe_events("notes")[-1]
    assert last.event_categories == ("failover", "failure")
    runtime.heal_fault("notes")
