"""A bill as the command line draws it: each cluster's charges beside those of the other storage."""

from decimal import Decimal

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from cluster_runtime.serverless.metering.bill import Bill, BillEntry, BillLine, Charges

NAMES = {"aurora": "Standard", "aurora-iopt1": "I/O-Optimized", "": "Both in turn"}


def draw(bill: Bill) -> RenderableType:
    """Everything that it says."""
    if not bill.entries:
        return Text(f"nothing was used since {bill.since:%Y-%m-%d %H:%M %Z}", style="dim")
    parts: list[RenderableType] = [_entry(each, bill.currency) for each in bill.entries]
    total = f"Total {bill.total:.6f} {bill.currency}"
    parts.append(Text(f"{total}, {bill.since:%Y-%m-%d %H:%M} to {bill.until:%Y-%m-%d %H:%M %Z}"))
    checked = "" if bill.prices_checked else "; not all of them were checked"
    source = f"Prices of {bill.region}, {bill.price_date}{checked}. {bill.price_source}"
    parts.append(Text(source, style="dim"))
    return Group(*parts)


def _entry(one: BillEntry, currency: str) -> RenderableType:
    now, then = NAMES[one.charges.storage_type], NAMES[one.other.storage_type]
    table = Table(
        Column(one.name, overflow="fold"),
        Column("Used", justify="right"),
        Column("", overflow="fold"),
        Column(f"{now} (now), {currency}", justify="right"),
        Column(f"{then}, {currency}", justify="right"),
    )
    others = _amounts(one.other)
    for item, lines in _by_item(one.charges).items():
        used = sum((line.quantity for line in lines), Decimal(0))
        amount = sum((line.amount for line in lines), Decimal(0))
        table.add_row(
            item, f"{used:.6f}", lines[0].unit, f"{amount:.6f}", f"{others.get(item, 0):.6f}"
        )
    table.add_section()
    table.add_row("Total", "", "", f"{one.charges.total:.6f}", f"{one.other.total:.6f}")
    notes = [f"I/O requests are {one.io_share:.1%} of it."]
    if one.advice:
        notes.append(one.advice)
    return Group(table, *(Text(each) for each in notes))


def _by_item(charges: Charges) -> dict[str, list[BillLine]]:
    found: dict[str, list[BillLine]] = {}
    for line in charges.lines:
        found.setdefault(line.item, []).append(line)
    return found


def _amounts(charges: Charges) -> dict[str, Decimal]:
    return {line.item: line.amount for line in charges.lines}
