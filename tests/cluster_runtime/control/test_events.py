"""What happens to a cluster is an event in RDS's categories, kept also after its end."""

import pytest

from cluster_runtime import Runtime
from cluster_runtime.api.services.rds.events import CATEGORIES
from cluster_runtime.errors import QuorumLostError


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


def test_a_failover_that_does_not_complete_is_an_event(runtime: Runtime) -> None:
    runtime.create_db_cluster("notes")
    runtime.inject_fault("notes", "az:a", "crash")
    runtime.inject_fault("notes", "az:b", "crash")
    with pytest.raises(QuorumLostError):
        runtime.failover_db_cluster("notes")
    last = runtime.describe_events("notes")[-1]
    assert last.event_categories == ("failover", "failure")
    runtime.heal_fault("notes")
