"""The words of the two doors that this package opens: the command line, and the tools of a server.

What a door lacks, the next one has: an agent that may not switch a protection off hears which
command a person would run, and a person hears which call does what no command does.
"""

import shlex
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cluster_runtime.control.operations import OPERATIONS, Declared
from cluster_runtime.control.operations.inputs import Input, inputs
from cluster_runtime.wording import PYTHON, Hint, Operation, plainly

LIST_DATABASES = Operation("list_databases")
"""Not the runtime's: what lists the databases inside a cluster."""

ANY_CLUSTER = "CLUSTER"

SHORT_OPTIONS = {
    "by_tag": "--by",
    "database_name": "--database",
    "db_cluster_parameter_group_name": "--parameter-group",
    "parameters": "--parameter",
    "db_cluster_identifier": "--cluster",
    "enable_iam_database_authentication": "--iam",
    "internet_access_gateway_enabled": "--gateway",
    "master_user_password": "--password",
    "master_username": "--master-user",
    "metric_names": "--metric",
    "new_db_cluster_identifier": "--rename",
    "seconds_until_auto_pause": "--auto-pause",
    "tables": "--table",
    "tag_keys": "--tag-key",
    "tags": "--tag",
    "restore_to_time": "--to",
    "use_latest_restorable_time": "--latest",
    "backup_location": "--from",
    "backup_key": "--key",
    "backup_retention_period": "--retention-days",
    "final_db_snapshot_identifier": "--final-snapshot",
    "delete_automated_backups": "--delete-backups",
    "source_db_cluster_resource_id": "--source-id",
    "target_database_name": "--target-database",
    "with_express_configuration": "--express",
}
"""Options that are called other than their parameter."""

COMMANDS_BY_OTHER_NAMES = {
    "copy_db_cluster_snapshot": "snapshot copy",
    "create_db_cluster": "create",
    "create_db_cluster_snapshot": "snapshot create",
    "delete_db_cluster_automated_backup": "backup delete",
    "delete_db_cluster_snapshot": "snapshot delete",
    "describe_backup_store": "backup show",
    "describe_db_cluster_automated_backups": "backup list",
    "describe_db_cluster_snapshots": "snapshot list",
    "export_db_cluster_snapshot": "snapshot export",
    "import_db_cluster_snapshot": "snapshot import",
    "modify_backup_store": "backup use",
    "restore_db_cluster_from_snapshot": "snapshot restore",
    "delete_db_cluster": "delete",
    "describe_activity": "activity",
    "describe_bill": "bill",
    "describe_data_diff": "diff data",
    "describe_db_instances": "instances",
    "describe_events": "events",
    "describe_metrics": "metrics",
    "describe_schema_diff": "diff schema",
    "create_restore_point": "restore-point create",
    "delete_restore_point": "restore-point delete",
    "describe_restore_points": "restore-point list",
    "describe_sessions": "sessions",
    "describe_volume": "storage show",
    "failover_db_cluster": "failover",
    "heal_fault": "fault heal",
    "inject_fault": "fault inject",
    "modify_db_cluster": "modify",
    "reset_branch": "branch reset",
    "restore_db_cluster_to_point_in_time": "restore",
    "pause_db_cluster": "pause",
    "resume_db_cluster": "resume",
    "start_db_cluster": "start",
    "stop_db_cluster": "stop",
}
"""Commands that are called other than their operation."""


NO_COMMANDS = {
    "backtrack_db_cluster": "`rewind` takes a time too",
    "register_session": "whoever assumes a role does this in the same breath",
    "describe_db_log_files": "`logs` shows their lines",
    "describe_host": "`config` and `doctor` show it",
    "download_db_log_file_portion": "`logs` reads them to their end",
}
"""Operations that are no commands, and why."""

PLAIN_ARGUMENTS = frozenset({"file", "kind", "location", "restore_point", "target", "to"})
"""Parameters that a command takes by their place, without the name of an option."""


def is_a_command(declared: Declared) -> bool:
    """Whether people have a command of its name."""
    return declared.method not in NO_COMMANDS


def command_of(method: str) -> str:
    """What the command of an operation is called."""
    return COMMANDS_BY_OTHER_NAMES.get(method, method.replace("_", "-"))


def option_of(one: Input) -> str:
    """What the option of a parameter is called. A secret stands in a file, never in a command."""
    if one.name in PLAIN_ARGUMENTS:
        return one.name.upper()
    option = SHORT_OPTIONS.get(one.name, f"--{one.name.replace('_', '-')}")
    return f"{option}-file" if one.field.secret else option


COMMANDS = {
    each.method: command_of(each.method)
    for each in OPERATIONS
    if is_a_command(each) and each.method != "describe_db_clusters"  # two commands, see below
}
OPTIONS_OF_OPERATIONS = {
    each.method: {one.name: option_of(one) for one in inputs(each) if not one.names_the_subject}
    for each in OPERATIONS
    if each.method in COMMANDS
}
OPTIONS = {
    name: option for options in OPTIONS_OF_OPERATIONS.values() for name, option in options.items()
} | {
    "state_dir": "--state-dir",
    "timeout_seconds": "statement_timeout",  # a shell has no limit but the server's own
    "warm_pool_size": "--warm-pool",
}
"""Parameters of the runtime, as options of the command line."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An operation as a tool. leaves_out: parameters that an agent has no use for."""

    tool: str
    leaves_out: frozenset[str] = frozenset()


OFFERS = {
    "create_db_cluster": Offer(
        "create_cluster",
        frozenset(
            {
                "with_express_configuration",
                "engine_version",
                "master_username",
                "master_user_password",
                "manage_master_user_password",
                "enable_iam_database_authentication",
                "db_cluster_parameter_group_name",
                "tags",
                "with_writer",
                "storage_type",
                "port",
                "if_not_exists",
                "backup_retention_period",
                "backtrack_window",
                "warm_branch",
            }
        ),
    ),
    "delete_db_cluster": Offer(
        "delete_cluster",
        frozenset(
            {
                "skip_final_snapshot",
                "final_db_snapshot_identifier",
                "delete_automated_backups",
            }
        ),
    ),
}
SHORT_ARGUMENTS = {"database_name": "database", "db_cluster_identifier": "cluster"}
"""Arguments that are called other than their parameter."""


def offered(declared: Declared) -> tuple[Input, ...]:
    """What the tool of an operation asks for."""
    return inputs(declared, OFFERS[declared.method].leaves_out)


def argument_of(one: Input) -> str:
    """What the argument of a parameter is called."""
    return SHORT_ARGUMENTS.get(one.name, one.name)


ARGUMENTS = {
    one.name: argument_of(one)
    for each in OPERATIONS
    if each.method in OFFERS
    for one in offered(each)
} | {"timeout_seconds": "timeout_seconds"}
"""Parameters of the runtime, as arguments of the tools."""

TOOLS_OF_OPERATIONS = {method: offer.tool for method, offer in OFFERS.items()} | {
    LIST_DATABASES.name: "list_schemas without a database",
    "create_restore_point": "restore_point",
    "describe_restore_points": 'restore_point with action="list"',
    "rewind": "rewind",
    "undo_rewind": "undo_rewind",
    "reset_branch": 'branch with action="reset"',
    "describe_schema_diff": 'branch with action="schema_diff"',
    "describe_data_diff": 'branch with action="data_diff"',
    "create_db_cluster_snapshot": 'snapshot with action="create"',
    "describe_db_cluster_snapshots": 'snapshot with action="list"',
    "delete_db_cluster_snapshot": 'snapshot with action="delete"',
    "restore_db_cluster_from_snapshot": 'snapshot with action="restore"',
}


class OnTheCommandLine:
    """For whoever types `borealis`."""

    def parameter(self, name: str) -> str:
        """A parameter as its option."""
        return OPTIONS.get(name, plainly(name))

    def hint(self, hint: Hint) -> str | None:
        """A hint with its command, or with the call in Python where there is none."""
        command = self.command(hint.operation)
        if command is None:
            return f"in Python, {PYTHON.hint(hint)}"
        return hint.text.format(command)

    def command(self, operation: Operation) -> str | None:
        """The command that does this; None where no command does."""
        name, cluster = operation.name, operation.identifier
        if name == LIST_DATABASES.name:
            return f'borealis psql {ANY_CLUSTER} -c "select datname from pg_database"'
        if name == "describe_db_clusters":
            return "borealis list" if cluster is None else _line("describe", cluster)
        if name == "modify_db_cluster" and operation.settings.get("reset_settings"):
            return _line("reset-settings", cluster)
        if name not in COMMANDS:
            return None
        arguments: list[str] = []
        for setting, value in operation.settings.items():
            if (name, setting) == ("delete_db_cluster", "skip_final_snapshot"):
                continue  # what the command does anyway
            if setting not in OPTIONS_OF_OPERATIONS[name]:
                return None
            option = OPTIONS_OF_OPERATIONS[name][setting]
            arguments += _option(option, value) if option.startswith("-") else [str(value)]
        return _line(COMMANDS[name], cluster, *arguments)


class OfAnExistingDatabase(OnTheCommandLine):
    """For whoever asks a database that is there already: no cluster is named, and none helps."""

    def hint(self, hint: Hint) -> str | None:
        """Where the server is looked for; else None."""
        if hint.operation.name == "describe_db_clusters":
            return "the connection string says where it is looked for, and as whom"
        return None


@dataclass(frozen=True, slots=True)
class InTools:
    """For a model that calls the tools of one server. has: whether it has a tool of that name."""

    has: Callable[[str], bool] = lambda _: True

    def parameter(self, name: str) -> str:
        """A parameter as the tools' argument."""
        return ARGUMENTS.get(name, plainly(name))

    def hint(self, hint: Hint) -> str | None:
        """A hint with its tool; None where an agent can do nothing, or has no use for it."""
        operation = hint.operation
        offer = OFFERS.get(operation.name)
        if offer is not None and offer.leaves_out & operation.settings.keys():
            return None
        tool = self.tool(operation)
        if tool is not None:
            return hint.text.format(tool)
        return f"no tool does that here, but a person can: {COMMAND_LINE.hint(hint)}"

    def tool(self, operation: Operation) -> str | None:
        """The tool that does this; None where the server has none."""
        if operation.name == "describe_db_clusters":
            tool = "list_clusters" if operation.identifier is None else "describe_cluster"
        else:
            tool = TOOLS_OF_OPERATIONS.get(operation.name, "")
        return tool if tool and self.has(tool.partition(" ")[0]) else None


@dataclass(frozen=True, slots=True)
class OfExistingDatabases(InTools):
    """For a model whose server reads databases that are there already: no command helps it."""

    def hint(self, hint: Hint) -> str | None:
        """A hint with its tool, where this server has one."""
        tool = self.tool(hint.operation)
        return None if tool is None else hint.text.format(tool)


def _line(command: str, cluster: str | None, *arguments: str) -> str:
    named = [] if cluster is None else [cluster]
    return f"borealis {command} {shlex.join([*named, *arguments])}".rstrip()


def _option(option: str, value: object) -> Collection[str]:
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    return [option, str(value)]


COMMAND_LINE = OnTheCommandLine()
EXISTING_DATABASE = OfAnExistingDatabase()
EVERY_TOOL = InTools()
