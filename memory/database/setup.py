"""`setup()`: one quick look when everything is there, one locked transaction when not."""

from memory.database.schema import Component, install, installed_version
from memory.database.steps import Plan, Steps, attempt


def setup_plan(schema: str, component: Component, *, partitions: int = 0) -> Plan[None]:
    """Bring a component's tables up to date."""

    def look() -> Steps[int]:
        return (yield from installed_version(schema, component))

    if (yield from attempt(look)) == len(component.migrations):
        return
    yield from attempt(lambda: install(schema, component, partitions=partitions), transaction=True)
