"""What an error says to a client of the RDS API: names as that API has them."""

from functools import cache

from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.control.operations.declaration import snake_case
from cluster_runtime.wording import Hint, Operation, plainly


@cache
def rds_names() -> dict[str, str]:
    """Names of the RDS API by their names in Python: `db_cluster_identifier` and the like."""
    model = service_model("rds")
    names = {snake_case(name): name for name in model.operation_names}
    for name in model.shape_names:
        shape = model.shape_for(name)
        if shape.type_name == "structure":
            names |= {snake_case(member): member for member in shape.members}
    return names


class InRds:
    """For clients of the RDS API."""

    def parameter(self, name: str) -> str:
        """A parameter by RDS's name; ours alone in plain words."""
        return rds_names().get(name, plainly(name))

    def hint(self, hint: Hint) -> str | None:
        """A hint with its call; None where RDS has no such parameter."""
        if not hint.operation.settings.keys() <= rds_names().keys():
            return None
        return hint.text.format(self._operation(hint.operation))

    def _operation(self, operation: Operation) -> str:
        name = next((one.name for one in OPERATIONS if one.method == operation.name), "")
        settings = [f"{self.parameter(one)}={to}" for one, to in operation.settings.items()]
        if operation.identifier is not None:
            settings.insert(0, f"DBClusterIdentifier={operation.identifier}")
        said = name or plainly(operation.name)
        return f"{said} ({', '.join(settings)})" if settings else said


IN_RDS = InRds()
