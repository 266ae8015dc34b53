"""Operations on a Bill: what clusters used, at Amazon Aurora's prices. Ours."""

from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import Literal

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import BILL, ClusterReference
from cluster_runtime.errors import (
    ClusterNotFoundError,
    InsufficientStorageError,
    InvalidParameterError,
)
from cluster_runtime.wording import Parameter


@operation(
    "DescribeBill",
    of="Bill",
    returns=BILL,
    raises=(ClusterNotFoundError, InvalidParameterError, InsufficientStorageError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DescribeBill(Request):
    """Show what clusters used, and what Amazon Aurora would ask for it.

    Capacity, I/O requests, storage and backups, on the storage that each cluster was on and on the
    other one, side by side. Prices are those of a list that says where it is from.

    db_cluster_identifier: identifier or resource id of the only cluster to show.
    since: from the hour of this moment on; by default from the beginning of the month in UTC.
    by_tag: key of a tag whose values to add up by, instead of clusters.
    what_if: the storage to compare with: standard or io-optimized; by default the other one.
    """

    db_cluster_identifier: ClusterReference | None = None
    _: KW_ONLY
    since: datetime | None = None
    by_tag: str | None = None
    what_if: Literal["standard", "io-optimized"] | None = None

    def check(self) -> None:
        """Raises InvalidParameterError for a moment without a time zone, or an empty key."""
        if self.since is not None and self.since.tzinfo is None:
            raise InvalidParameterError("since has no time zone: pass an aware datetime")
        if self.by_tag == "":
            raise InvalidParameterError(
                Parameter("by_tag"), " is empty; it must be the key of a tag"
            )
