"""What events of a cluster say, in the words of RDS where it has such an event. Pure.

RDS tells a change of most settings with none; those here are formed like its others.
Source: Amazon Aurora User Guide, "Amazon RDS event categories and event messages for Aurora".
"""

from collections.abc import Iterator

from cluster_runtime.control.records.model import DBCluster
from cluster_runtime.control.records.parameter_groups import DEFAULT_PREFIX

NOTIFICATION = "notification"
CONFIGURATION_CHANGE = "configuration change"
FAILURE = "failure"

STARTED = "DB cluster started"
STOPPED = "DB cluster stopped"
PAUSED = "The DB cluster is paused."
RESUMED = "The DB cluster is resumed."
READER_PAUSED = "The DB instance is paused: {}"
KEPT_AWAKE = "The DB cluster does not pause: it has {}"
ERROR_CHARACTERS_MAX = 500
"""Of an error in an event, which may quote a whole log."""


def resumed_in(seconds: float) -> str:
    """Of a resume from deep pause."""
    return f"The DB cluster is resumed from deep pause, in {seconds:.2f} s."


def deeply_paused(data_bytes: int) -> str:
    """data_bytes: what the cluster takes of the disk from now on."""
    return f"The DB cluster is in deep pause: it takes {data_bytes / 1e6:.1f} MB of the disk."


def not_resumed(error: Exception) -> str:
    """Of a resume that failed."""
    why = str(error)
    if len(why) > ERROR_CHARACTERS_MAX:
        why = f"{why[:ERROR_CHARACTERS_MAX]} ..."
    return f"The DB cluster could not be resumed; the next connect tries again. {why}"


def of_a_change(
    before: DBCluster, after: DBCluster, *, new_password: bool
) -> Iterator[tuple[str, str]]:
    """(message, category) of each event that ModifyDBCluster makes. new_password: the master's."""
    if after.db_cluster_identifier != before.db_cluster_identifier:
        names = f"from {before.db_cluster_identifier} to {after.db_cluster_identifier}"
        yield f"Renamed cluster {names}", NOTIFICATION
    if new_password:
        yield "Reset master credentials", CONFIGURATION_CHANGE
    if after.db_cluster_parameter_group != before.db_cluster_parameter_group:
        family = f"{after.engine}{after.engine_version.partition('.')[0]}"
        group = after.db_cluster_parameter_group or f"{DEFAULT_PREFIX}{family}"
        yield f"Updated to use DBParameterGroup {group}", CONFIGURATION_CHANGE
    was, now = _settings(before), _settings(after)
    for what, value in now.items():
        if value != was[what]:
            said = f"Finished applying modification to {what}: {value}"
            yield said, CONFIGURATION_CHANGE


def of_scaling(instance: str, before: float, now: float) -> str:
    """An instance has another capacity, in ACU."""
    return f"DB instance {instance} scaled from {before:g} to {now:g} ACU"


def _settings(db_cluster: DBCluster) -> dict[str, str]:
    scaling = db_cluster.scaling
    return {
        "serverless scaling": f"{scaling.min_capacity:g} to {scaling.max_capacity:g} ACU",
        "seconds until auto-pause": str(scaling.seconds_until_auto_pause),
        "seconds until deep pause": str(db_cluster.seconds_until_deep_pause),
        "deletion protection": _switch(db_cluster.deletion_protection),
        "IAM database authentication": _switch(db_cluster.iam_database_authentication_enabled),
        "required TLS": _switch(db_cluster.require_tls),
        "internet access gateway": _switch(db_cluster.internet_access_gateway_enabled),
        "storage type": db_cluster.storage_type,
        "warm branch": _switch(db_cluster.warm_branch),
        "managed master password": _switch(db_cluster.master_user_secret is not None),
    }


def _switch(on: object) -> str:
    return "on" if on else "off"
