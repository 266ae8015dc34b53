"""Price lists: what Amazon Aurora asks for, by region; read from a file, never through a float.

The list that comes with a release is `prices.json` beside this module; it says where its numbers
are from, and when. A `prices.json` in the state directory takes its place.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from cluster_runtime.errors import InvalidParameterError

PRICE_LIST = Path(__file__).with_name("prices.json")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of one kind of storage. storage: a GiB for a month. io: a million requests."""

    acu_hour: Decimal
    storage: Decimal
    io: Decimal


@dataclass(frozen=True, slots=True)
class Prices:
    """Those of a region. backup: a GiB for a month. source, date: of the numbers.

    checked: whether all of them stand in that source; otherwise some are of an older one.
    """

    region: str
    standard: Rates
    io_optimized: Rates
    backup: Decimal
    source: str
    date: str
    checked: bool

    def rates(self, storage_type: str) -> Rates:
        """Those of `aurora` or `aurora-iopt1`."""
        return self.io_optimized if storage_type == "aurora-iopt1" else self.standard


@dataclass(frozen=True, slots=True)
class PriceList:
    """All regions that it knows. default: the one that stands in for any other."""

    currency: str
    default: str
    regions: Mapping[str, Prices]

    def of(self, region: str) -> Prices:
        """The prices of a region, or of the default one: `Prices.region` says which."""
        return self.regions.get(region, self.regions[self.default])


def read_price_list(path: Path = PRICE_LIST) -> PriceList:
    """Raises InvalidParameterError for a file that is no price list, or one of a newer format."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        if given["format"] != FORMAT:
            raise InvalidParameterError(
                f"price list {path} is of format {given['format']}, this release reads {FORMAT}"
            )
        regions = {name: _prices(name, found) for name, found in given["regions"].items()}
        listed = PriceList(str(given["currency"]), str(given["default_region"]), regions)
        listed.of(listed.default)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, InvalidOperation) as error:
        raise InvalidParameterError(f"{path} is no price list: {error!r}") from error
    return listed


def _prices(region: str, given: Mapping[str, Any]) -> Prices:
    return Prices(
        region,
        _rates(given["standard"]),
        _rates(given["io_optimized"]),
        _price(given["backup_gib_month"]),
        str(given["source"]),
        str(given["date"]),
        bool(given["checked"]),
    )


def _rates(given: Mapping[str, Any]) -> Rates:
    return Rates(
        _price(given["acu_hour"]),
        _price(given["storage_gib_month"]),
        _price(given["million_ios"]),
    )


def _price(given: object) -> Decimal:
    """Prices are text, or numbers that were never a float."""
    price = Decimal(str(given))
    if not price.is_finite() or price < 0:
        raise ValueError(f"{given!r} is no price")
    return price
