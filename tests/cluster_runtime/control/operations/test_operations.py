"""Operations are declared once; what offers them is made from that, and RDS's shapes fit."""

import asyncio
import inspect
import math
import types
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, get_type_hints

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime import (
    AsyncRuntime,
    BorealisError,
    ClusterHandle,
    ClusterStatus,
    ControlPlane,
    Runtime,
    ServerlessScaling,
)
from cluster_runtime.control.operations import OPERATIONS, Declared
from cluster_runtime.control.operations.clusters import CreateDBCluster, ModifyDBCluster
from cluster_runtime.control.operations.declaration import (
    RDS_HAS_NONE,
    RDS_REQUIRES_IT,
    InRds,
    snake_case,
)
from cluster_runtime.control.operations.events import DescribeEvents
from cluster_runtime.control.operations.generate import ROOT, files, main
from cluster_runtime.control.operations.renamed import renamed
from cluster_runtime.control.operations.sessions import RegisterSession
from cluster_runtime.control.operations.volumes import InjectFault
from cluster_runtime.control.records.fields import REQUIRED, Doc, Field, entries, fields_of, prose
from cluster_runtime.control.service import ControlService
from cluster_runtime.errors import (
    InstanceNotFoundError,
    InvalidParameterError,
)

RDS: dict[str, Any] = Loader().load_service_model("rds", "service-2")
SHAPES = RDS["shapes"]
OURS = {
    "PauseDBCluster",
    "DescribeActivity",
    "DescribeBill",
    "DescribeDataDiff",
    "DescribeSchemaDiff",
    "DescribeSessions",
    "RegisterSession",
    "ResumeDBCluster",
    "DescribeVolume",
    "InjectFault",
    "HealFault",
    "LoseCompute",
    "DescribeHost",
    "DescribeMetrics",
    "ListMetrics",
    "GetMasterUserSecret",
    "DescribeBackupStore",
    "ModifyBackupStore",
    "ExportDBClusterSnapshot",
    "ImportDBClusterSnapshot",
    "ResetBranch",
    "Rewind",
    "UndoRewind",
    "CreateRestorePoint",
    "DescribeRestorePoints",
    "DeleteRestorePoint",
}
OURS_IN_RDS_OPERATIONS = {
    ("CreateDBCluster", "if_not_exists"),
    ("ModifyDBCluster", "require_tls"),
    ("ModifyDBCluster", "internet_access_gateway_enabled"),
    ("ModifyDBCluster", "reset_settings"),
    ("ModifyDBCluster", "backtrack_bytes_max"),
    ("ModifyDBCluster", "seconds_until_deep_pause"),
    ("ModifyDBCluster", "warm_branch"),
    ("CreateDBCluster", "warm_branch"),
    ("RestoreDBClusterToPointInTime", "with_writer"),
    ("CreateDBCluster", "with_writer"),
    ("DescribeDBInstances", "db_cluster_identifier"),
    ("RestoreDBClusterToPointInTime", "backup_location"),
    ("RestoreDBClusterToPointInTime", "backup_key"),
    ("RestoreDBClusterToPointInTime", "restore_to_transaction"),
    ("RestoreDBClusterToPointInTime", "with_writer"),
    ("RestoreDBClusterFromSnapshot", "with_writer"),
}
OTHER_DEFAULTS = {
    ("CreateDBCluster", "with_express_configuration"): (True, False),
    ("CreateDBCluster", "engine"): ("aurora-postgresql", RDS_REQUIRES_IT.default),
    ("CreateDBCluster", "enable_iam_database_authentication"): (True, False),
    ("CreateDBInstance", "db_instance_class"): ("db.serverless", RDS_REQUIRES_IT.default),
    ("CreateDBClusterEndpoint", "endpoint_type"): ("ANY", RDS_REQUIRES_IT.default),
    ("CreateDBInstance", "engine"): ("aurora-postgresql", RDS_REQUIRES_IT.default),
    ("DeleteDBCluster", "skip_final_snapshot"): (True, False),
    ("DeleteDBInstance", "skip_final_snapshot"): (True, False),
    ("DeleteDBCluster", "delete_automated_backups"): (False, True),
    ("RestoreDBClusterFromSnapshot", "engine"): ("aurora-postgresql", RDS_REQUIRES_IT.default),
}
COMMON_CODES = {"InternalFailure", "InvalidParameterValue", "InvalidParameterCombination"}
"""Amazon RDS API Reference, "Common errors": operations do not list them."""
CODES_OF_OUR_OWN = {
    ("BacktrackDBCluster", "InvalidRestoreFault"),  # RDS: InvalidDBClusterStateFault
    ("BacktrackDBCluster", "InsufficientStorageClusterCapacity"),
    ("DescribeEvents", "DBClusterNotFoundFault"),  # RDS answers with no events
    ("DescribeDBInstances", "DBClusterNotFoundFault"),  # of a parameter of ours
    ("RebootDBInstance", "InvalidDBClusterStateFault"),  # RDS: InvalidDBInstanceState
    ("CreateDBCluster", "DBParameterGroupNotFound"),  # RDS: DBClusterParameterGroupNotFound
    ("ModifyDBCluster", "DBParameterGroupNotFound"),  # RDS: DBClusterParameterGroupNotFound
    ("RestoreDBClusterToPointInTime", "DBParameterGroupNotFound"),
    ("RestoreDBClusterFromSnapshot", "DBParameterGroupNotFound"),
    *(
        (name, "InsufficientStorageClusterCapacity")  # of this machine's disk
        for name in (
            *("CreateDBInstance", "DeleteDBInstance", "RebootDBInstance", "DeleteDBCluster"),
            *("FailoverDBCluster", "CreateDBClusterSnapshot", "CopyDBClusterSnapshot"),
        )
    ),
    *(
        (name, code)  # of the store of backups, which is RDS's own there
        for name in (
            *("CreateDBClusterSnapshot", "CopyDBClusterSnapshot", "DeleteDBClusterSnapshot"),
            *("RestoreDBClusterToPointInTime", "RestoreDBClusterFromSnapshot", "DeleteDBCluster"),
            "DeleteDBClusterAutomatedBackup",
        )
        for code in ("InvalidS3BucketFault", "InvalidRestoreFault")
    ),
    ("CreateDBClusterSnapshot", "KMSKeyNotAccessibleFault"),
    ("DeleteDBClusterSnapshot", "KMSKeyNotAccessibleFault"),
    ("DeleteDBClusterAutomatedBackup", "KMSKeyNotAccessibleFault"),
    ("DescribePendingMaintenanceActions", "DBClusterNotFoundFault"),  # RDS: ResourceNotFoundFault
}
KINDS = {
    str: {"string"},
    bool: {"boolean"},
    int: {"integer", "long"},
    float: {"double"},
    datetime: {"timestamp"},
}

each_operation = pytest.mark.parametrize("declared", OPERATIONS, ids=lambda one: one.name)
of_rds = pytest.mark.parametrize(
    "declared", [one for one in OPERATIONS if not one.ours], ids=lambda one: one.name
)


def input_shape(declared: Declared) -> dict[str, Any]:
    found: dict[str, Any] = SHAPES[RDS["operations"][declared.name]["input"]["shape"]]
    return found


def members(shape: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By the name that botocore gives each in Python."""
    return {xform_name(name): SHAPES[of["shape"]] for name, of in shape["members"].items()}


def test_an_operation_is_rds_s_or_listed_as_ours() -> None:
    assert {one.name for one in OPERATIONS if one.ours} == OURS
    assert {one.name for one in OPERATIONS} - OURS <= set(RDS["operations"])
    assert len({one.method for one in OPERATIONS}) == len(OPERATIONS)


@each_operation
def test_a_name_in_python_is_the_one_botocore_makes(declared: Declared) -> None:
    assert declared.method == xform_name(declared.name)


@given(st.sampled_from(sorted(RDS["operations"])))
def test_every_operation_of_rds_would_get_its_name(name: str) -> None:
    assert snake_case(name) == xform_name(name)


@of_rds
def test_the_parameters_are_members_of_rds_s_shape_and_of_its_kind(declared: Declared) -> None:
    known = members(input_shape(declared))
    for each in declared.parameters:
        if RDS_HAS_NONE in each.notes:
            assert (declared.name, each.name) in OURS_IN_RDS_OPERATIONS
            assert each.name not in known
            continue
        shape = known[each.name]
        if each.structure:
            assert shape["type"] == "structure"
            assert [one.name for one in fields_of(each.type)] == [*members(shape)]
            for one in fields_of(each.type):
                assert members(shape)[one.name]["type"] in KINDS[one.type]
        elif each.items is not None:
            assert shape["type"] == "list"
            of = SHAPES[shape["member"]["shape"]]
            if each.items is str:
                assert of["type"] == "string"
            else:
                assert {one.name for one in fields_of(each.items)} <= {*members(of)}
        else:
            kind = str if each.choices else each.type
            assert shape["type"] in KINDS[kind], each.name


@of_rds
def test_what_rds_requires_is_required_here_or_said_to_be_there(declared: Declared) -> None:
    required = {xform_name(name) for name in input_shape(declared).get("required", ())}
    ours = {one.name for one in declared.parameters if one.required}
    said = {one.name for one in declared.parameters if RDS_REQUIRES_IT in one.notes}
    assert required == ours | said
    assert not ours & said


def test_another_default_than_rds_s_is_declared_with_both() -> None:
    found = {
        (declared.name, each.name): (each.default, note.default)
        for declared in OPERATIONS
        for each in declared.parameters
        for note in each.notes
        if isinstance(note, InRds) and note is not RDS_HAS_NONE
    }
    assert found == OTHER_DEFAULTS


def test_what_the_list_of_ours_names_is_there() -> None:
    declared = {(one.name, each.name) for one in OPERATIONS for each in one.parameters}
    assert declared >= OURS_IN_RDS_OPERATIONS


@of_rds
def test_an_error_has_a_code_that_rds_s_operation_has(declared: Declared) -> None:
    listed = {
        SHAPES[error["shape"]]["error"]["code"]
        for error in RDS["operations"][declared.name].get("errors", ())
    }
    own = {code for name, code in CODES_OF_OUR_OWN if name == declared.name}
    assert {kind.code for kind in declared.raises} <= listed | COMMON_CODES | own


@each_operation
def test_a_declaration_says_what_everything_is(declared: Declared) -> None:
    assert declared.summary.endswith((".", ":"))
    assert [each.name for each in declared.parameters if len(each.doc) < 10] == []
    assert all(issubclass(kind, BorealisError) for kind in declared.raises)
    documented = entries(inspect.getdoc(declared.request) or "")
    assert set(documented) <= {each.name for each in declared.parameters}


@each_operation
def test_the_service_performs_it_and_takes_its_declaration(declared: Declared) -> None:
    method = getattr(ControlService, declared.method)
    hints = get_type_hints(method)
    assert hints["request"] is declared.request
    assert inspect.iscoroutinefunction(method)


@pytest.mark.parametrize("offering", [Runtime, AsyncRuntime, ControlPlane])
@each_operation
def test_it_is_offered_with_its_parameters_defaults_and_words(
    declared: Declared, offering: type
) -> None:
    method = getattr(offering, declared.method)
    _, *parameters = inspect.signature(method).parameters.values()
    assert [one.name for one in parameters] == [one.name for one in declared.parameters]
    for one, each in zip(parameters, declared.parameters, strict=True):
        assert (one.kind is one.KEYWORD_ONLY) is each.keyword_only
        assert one.default == (one.empty if each.default is REQUIRED else each.default)
        if not each.structure:
            assert (types.NoneType in getattr(one.annotation, "__args__", ())) is each.optional
    said = " ".join((inspect.getdoc(method) or "").split())
    assert declared.summary in said
    for each in declared.parameters:
        assert " ".join(each.doc.split()) in said
    for kind in declared.raises:
        assert kind.__name__ in said
    assert inspect.iscoroutinefunction(method) is (offering is AsyncRuntime)


def test_a_runtime_is_a_control_plane_and_nothing_of_it_is_missing() -> None:
    promised = {name for name in vars(ControlPlane) if not name.startswith("_")}
    assert promised == {one.method for one in OPERATIONS} | {"cluster"}
    for offering in (Runtime, AsyncRuntime):
        assert {name for name in promised if not hasattr(offering, name)} == set()


def test_what_is_checked_in_is_what_the_declarations_make(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--check"]) == 0
    assert [path.name for path in files()] == [
        "_blocking.py",
        "_awaited.py",
        "plane.py",
        "_asked.py",
        "operations.md",
    ]
    fewer = files(OPERATIONS[:-1])
    assert all(text != files()[path] for path, text in fewer.items())
    monkeypatch.setattr("cluster_runtime.control.operations.generate.files", lambda: fewer)
    assert main(["--check"]) == 1
    said = capsys.readouterr().out
    assert said.count("\n") == len(fewer)
    assert "docs/operations.md is not what the declarations say" in said
    assert (ROOT / "docs" / "operations.md").read_text(encoding="utf-8") == files()[
        ROOT / "docs" / "operations.md"
    ]


FAULT = {"target": "az:a", "kind": "crash"}
WRONG: list[tuple[type, dict[str, Any], str]] = [
    (CreateDBCluster, {"deletion_protection": "yes"}, "deletion_protection is 'yes'; it must be"),
    (CreateDBCluster, {"deletion_protection": 1}, "True or False"),
    (CreateDBCluster, {"deletion_protection": None}, "True or False"),
    (CreateDBCluster, {"port": True}, "a whole number"),
    (CreateDBCluster, {"port": 5432.5}, "a whole number"),
    (CreateDBCluster, {"port": "5432"}, "a whole number"),
    (CreateDBCluster, {"port": 1149}, "port is 1149; it must be from 1150 to 65535"),
    (CreateDBCluster, {"database_name": 5}, "database_name is 5; it must be text"),
    (CreateDBCluster, {"storage_type": "Aurora"}, "'aurora' or 'aurora-iopt1'"),
    (CreateDBCluster, {"storage_type": None}, "'aurora' or 'aurora-iopt1'"),
    (CreateDBCluster, {"storage_type": []}, "'aurora' or 'aurora-iopt1'"),
    (CreateDBCluster, {"engine": "aurora-mysql"}, "'aurora-postgresql'"),
    (CreateDBCluster, {"serverless_v2_scaling_configuration": (0, 4)}, "a ServerlessScaling"),
    (ModifyDBCluster, {"new_db_cluster_identifier": "two--hyphens"}, "two in a row"),
    (ModifyDBCluster, {"reset_settings": None}, "True or False"),
    (ModifyDBCluster, {"require_tls": "no"}, "True or False"),
    (ServerlessScaling, {"min_capacity": math.nan}, "from 0 to 256 in steps of 0.5"),
    (ServerlessScaling, {"max_capacity": math.inf}, "from 1 to 256 in steps of 0.5"),
    (ServerlessScaling, {"max_capacity": "4"}, "a number"),
    (ServerlessScaling, {"seconds_until_auto_pause": 86_401}, "from 1 to 86400"),
    (DescribeEvents, {"source_identifier": b"notes"}, "it must be text"),
    (InjectFault, FAULT | {"duration": -1}, "duration is -1; it must be from 0 to 31622400"),
    (InjectFault, FAULT | {"duration": math.nan}, "duration is nan"),
    (InjectFault, FAULT | {"duration": math.inf}, "duration is inf"),
    (InjectFault, FAULT | {"duration": "5"}, "a number"),
]


@pytest.mark.parametrize(("kind", "values", "why"), WRONG, ids=lambda value: str(value)[-30:])
def test_a_value_of_another_kind_or_outside_its_rules_is_refused(
    kind: type, values: dict[str, Any], why: str
) -> None:
    first = {} if kind in (ServerlessScaling, DescribeEvents) else {"db_cluster_identifier": "x"}
    with pytest.raises(InvalidParameterError) as caught:
        kind(**first, **values)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "declared",
    [each for each in OPERATIONS if each.name.startswith("Modify")],
    ids=lambda each: each.name,
)
def test_a_change_of_nothing_is_refused_and_told_what_can_be_changed(declared: Declared) -> None:
    subject, *others = declared.parameters
    required = [each for each in others if each.required]
    if not subject.name.endswith(("_identifier", "_name")):
        return
    with pytest.raises(InvalidParameterError, match="nothing to change") as refused:
        declared.request("shop", *[() for _ in required])
    for each in others:
        names = [member.name for member in fields_of(each.type)] if each.structure else [each.name]
        assert all(name in str(refused.value) for name in names)


def test_a_call_is_a_fact_that_nobody_changes() -> None:
    request = InjectFault("ledger", "az:a", "crash")
    assert request == InjectFault("ledger", "az:a", "crash", None)
    with pytest.raises(FrozenInstanceError):
        request.kind = "slow:5"  # type: ignore[misc]


SECRET = "Tr0ub4dor-and-3"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (CreateDBCluster, {"db_cluster_identifier": "x", "master_user_password": SECRET}),
        (ModifyDBCluster, {"db_cluster_identifier": "x", "master_user_password": SECRET}),
        (
            RegisterSession,
            {
                "access_key_id": "AKIA",
                "secret_access_key": SECRET,
                "session_token": SECRET,
                "expires": datetime.now(UTC),
            },
        ),
    ],
)
def test_a_secret_is_in_no_repr_and_no_error(kind: type, values: dict[str, Any]) -> None:
    assert SECRET not in repr(kind(**values))
    for name, value in values.items():
        if value != SECRET:
            continue
        for wrong in (SECRET.encode(), [SECRET], {SECRET: 1}):
            with pytest.raises(InvalidParameterError) as caught:
                kind(**values | {name: wrong})
            assert SECRET not in str(caught.value)
            assert name in str(caught.value)


def test_every_secret_is_kept_out_of_the_repr() -> None:
    secret = [
        (declared.request, each.name)
        for declared in OPERATIONS
        for each in declared.parameters
        if each.secret
    ]
    assert len(secret) == 7
    for request, name in secret:
        assert not request.__dataclass_fields__[name].repr


# Names of one release ago.


def test_earlier_names_of_parameters_work_and_warn(cluster: ClusterHandle, runtime: Any) -> None:
    with pytest.warns(DeprecationWarning, match="'db_cluster_identifier', which was called"):
        assert runtime.describe_db_clusters(identifier="notes")[0].deletion_protection is False
    with pytest.warns(DeprecationWarning, match="serverless_v2_scaling_configuration"):
        facts = runtime.modify_db_cluster("notes", scaling=ServerlessScaling(0, 4, 300))
    assert facts.scaling.max_capacity == 4
    with pytest.warns(DeprecationWarning, match="enable_iam_database_authentication"):
        facts = runtime.modify_db_cluster("notes", iam_database_authentication_enabled=False)
    assert facts.iam_database_authentication_enabled is False
    with pytest.warns(DeprecationWarning, match="source_identifier"):
        runtime.describe_events(identifier="notes")
    with pytest.raises(TypeError, match="twice"):
        runtime.describe_events(identifier="notes", source_identifier="notes")
    with pytest.raises(TypeError, match="colour"):
        runtime.describe_events(colour="red")


async def test_an_earlier_name_is_taken_by_what_is_awaited_too() -> None:
    @renamed(old="new")
    async def work(first: int, *, new: int = 0) -> int:
        """Words."""
        await asyncio.sleep(0)
        return first + new

    assert inspect.iscoroutinefunction(work)
    assert inspect.getdoc(work) == "Words."
    assert await work(1, new=2) == 3
    with pytest.warns(DeprecationWarning, match=r"work\(\) takes 'new'") as warned:
        assert await work(1, old=2) == 3
    assert warned[0].filename == __file__


# What a dataclass says of its fields.


@dataclass(frozen=True)
class Sample:
    """One sentence.

    A paragraph, with a: colon.

    one: the first,
        which goes on
    two, three: of both.

    Raises nothing.
    """

    one: str
    two: Annotated[int | None, Doc("never seen: the class says it")] = None
    three: Annotated[float, Doc("never seen")] = 0.5
    four: Annotated[str, Doc("what its type says")] | None = None


def read(name: str) -> Field:
    return next(each for each in fields_of(Sample) if each.name == name)


def test_the_words_of_a_field_stand_in_the_docstring_or_in_its_type() -> None:
    assert {each.name: each.doc for each in fields_of(Sample)} == {
        "one": "the first, which goes on",
        "two": "of both.",
        "three": "of both.",
        "four": "what its type says",
    }
    assert prose(inspect.getdoc(Sample) or "") == (
        "One sentence.\n\nA paragraph, with a: colon.\n\nRaises nothing."
    )


def test_a_field_knows_its_type_without_none_and_notes() -> None:
    assert (read("one").type, read("one").optional, read("one").required) == (str, False, True)
    assert (read("two").type, read("two").optional, read("two").default) == (int, True, None)
    assert (read("four").type, read("four").optional) == (str, True)


# Instances.


@pytest.fixture
def instances(runtime: Runtime) -> Any:
    return lambda **which: [
        one.db_instance_identifier for one in runtime.describe_db_instances(**which)
    ]


def test_a_cluster_has_a_writer_which_is_an_instance(
    runtime: Runtime, cluster: ClusterHandle, instances: Any
) -> None:
    (writer,) = cluster.instances
    assert writer.is_cluster_writer
    assert writer.db_instance_identifier == "notes-instance-1"
    assert writer.db_cluster_identifier == "notes"
    assert writer.engine_version == cluster.describe().engine_version
    assert (writer.db_instance_status, writer.promotion_tier) == ("available", 1)
    runtime.create_db_cluster("ledger")
    assert instances() == ["ledger-instance-1", "notes-instance-1"]
    assert instances(db_cluster_identifier="ledger") == ["ledger-instance-1"]
    assert instances(db_instance_identifier="Notes-Instance-1") == ["notes-instance-1"]
    with pytest.raises(InstanceNotFoundError, match="did you mean 'notes-instance-1'"):
        runtime.describe_db_instances("notes-instance-2")
    runtime.stop_db_cluster("notes")
    assert cluster.status is ClusterStatus.STOPPED
    assert cluster.instances[0].db_instance_status == "stopped"


def test_a_reader_that_stands_in_is_no_instance(runtime: Runtime, cluster: ClusterHandle) -> None:
    with cluster.connect() as conn:
        conn.execute("create table t as select 1 as x")
    for segment in ("a1", "b1", "c1"):
        runtime.inject_fault("notes", f"segment:{segment}", "crash")
    runtime.lose_compute("notes")
    with cluster.connect("reader") as conn:
        assert conn.execute("select x from t").fetchone() == (1,)
    assert [each.is_cluster_writer for each in cluster.instances] == [True]
    runtime.heal_fault("notes")
