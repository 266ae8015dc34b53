"""Events of clusters, in RDS's shapes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.refusals import invalid_value
from cluster_runtime.api.services.rds import shapes
from cluster_runtime.api.services.rds.declared import identifier_of
from cluster_runtime.api.services.rds.paging import filtered, page
from cluster_runtime.api.services.service import Call

SOURCE_TYPE = "db-cluster"
DURATION_DEFAULT_MINUTES = 60
CATEGORIES = (
    "configuration change",
    "creation",
    "deletion",
    "failover",
    "failure",
    "low storage",
    "maintenance",
    "notification",
    "security",
)
"""Those that RDS has for clusters, as far as the runtime records such events."""


class Events:
    """What happened."""

    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime

    async def describe(self, call: Call) -> Mapping[str, Any]:
        """DescribeEvents: of the last hour, unless something else is asked for."""
        members = call.members
        if members.get("SourceType", SOURCE_TYPE) != SOURCE_TYPE:
            return {"Events": []}
        found = await self._runtime.describe_events(identifier_of(members.get("SourceIdentifier")))
        until = members.get("EndTime", call.now)
        since = members.get("StartTime") or _before(until, members.get("Duration"))
        categories = frozenset(members.get("EventCategories", ()))
        chosen = [
            each
            for each in found
            if since <= each.date <= until
            and (not categories or categories & {*each.event_categories})
        ]
        kept = filtered(chosen, members, {})
        shown, marker = page(
            kept, members, lambda each: f"{each.date.isoformat()} {each.source_identifier}"
        )
        arns = {
            facts.db_cluster_identifier: facts.db_cluster_arn
            for facts in await self._runtime.describe_db_clusters()
        }
        return {
            "Events": [shapes.event(each, arns.get(each.source_identifier)) for each in shown],
            "Marker": marker,
        }

    async def describe_categories(self, call: Call) -> Mapping[str, Any]:
        """DescribeEventCategories."""
        if call.members.get("SourceType", SOURCE_TYPE) != SOURCE_TYPE:
            return {"EventCategoriesMapList": []}
        return {
            "EventCategoriesMapList": [
                {"SourceType": SOURCE_TYPE, "EventCategories": list(CATEGORIES)}
            ]
        }


def _before(until: datetime, minutes: int | None) -> datetime:
    try:
        return until - timedelta(minutes=DURATION_DEFAULT_MINUTES if minutes is None else minutes)
    except OverflowError as error:
        raise invalid_value(
            f"Duration is {minutes} minutes before {until}, which is no time"
        ) from error
