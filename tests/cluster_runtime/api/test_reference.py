"""docs/rds-api.md says what the endpoint does."""

import pytest

from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.reference import PAGE, main, page
from cluster_runtime.api.services.rds import rds_operations
from cluster_runtime.api.services.rds.parameters import taken
from cluster_runtime.api.services.rds.without_effect import ANYWHERE, OF_ONE
from cluster_runtime.control.operations import OPERATIONS


def test_the_page_is_what_the_endpoint_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["--check"]) == 0
    assert PAGE.read_text(encoding="utf-8") == page()
    monkeypatch.setattr("cluster_runtime.api.reference.page", lambda: "something else")
    assert main(["--check"]) == 1
    assert "docs/rds-api.md" in capsys.readouterr().out


def test_every_operation_of_rds_is_on_the_page_once() -> None:
    text = page()
    works = set(rds_operations(None))  # type: ignore[arg-type]
    for name in service_model("rds").operation_names:
        assert (f"| `{name}` |" in text) is (name in works)


def test_every_declared_operation_of_rds_is_offered() -> None:
    declared = {each.name for each in OPERATIONS if not each.ours}
    assert declared <= set(rds_operations(None))  # type: ignore[arg-type]
    assert declared <= set(service_model("rds").operation_names)


@pytest.mark.parametrize("name", OF_ONE)
def test_what_has_no_effect_is_a_member_and_is_not_taken(name: str) -> None:
    members = set(service_model("rds").operation_model(name).input_shape.members)
    assert members >= OF_ONE[name]
    assert not OF_ONE[name] & taken(name)


def test_what_has_no_effect_anywhere_is_a_member_of_something() -> None:
    model = service_model("rds")
    shapes = (model.operation_model(name).input_shape for name in model.operation_names)
    assert {name for shape in shapes if shape is not None for name in shape.members} >= ANYWHERE
