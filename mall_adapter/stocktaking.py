"""What people and their systems say of the stock: received, counted, adjusted, or all of a warehouse at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from sqlalchemy import ColumnElement, Integer, Table, bindparam, case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, permissions
from mall_adapter.errors import NotFound, StaleVersion, StillAllocated
from mall_adapter.models import MovementKind, Stock, StockMovement
from mall_adapter.stock import ALLOCATED, ON_HAND, Allotment, Cause, note
from mall_adapter.values import StockLevel, StockSync
from storage import Actor, Event, record


@dataclass(frozen=True, slots=True, kw_only=True)
class StockChanged(Event):
    """Pieces that lie there, before and after."""

    warehouse_id: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReceived(StockChanged):
    kind: ClassVar[str] = "stock_received"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockCounted(StockChanged):
    kind: ClassVar[str] = "stock_counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockAdjusted(StockChanged):
    kind: ClassVar[str] = "stock_adjusted"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockSynced(Event):
    """A system has told what lies in a warehouse; what it changed stands in the ledger."""

    kind: ClassVar[str] = "stock_synced"
    changed: int
    short: int
    unknown: int


async def levels(session: AsyncSession, actor: Actor, sku_id: str) -> list[StockLevel]:
    """By warehouse. Raises NotFound for a SKU that there is not."""
    supplier_id = await session.scalar(
        select(models.Product.supplier_id).join(models.Sku).where(models.Sku.id == sku_id)
    )
    if supplier_id is None:
        raise NotFound(sku_id)
    permissions.check_owner(actor, supplier_id)
    rows = await session.scalars(select(Stock).where(Stock.sku_id == sku_id).order_by(Stock.warehouse_id))
    return [_level(row) for row in rows]


async def receive(session: AsyncSession, cause: Cause, warehouse_id: str, sku_id: str, quantity: int) -> StockLevel:
    """More pieces from the supplier; from now on the SKU is in this warehouse. Raises NotFound, ValueError."""
    if quantity < 1:
        raise ValueError("at least one piece is received")
    row = await _locked(session, cause, warehouse_id, sku_id)
    before = await _set(session, row, row.on_hand + quantity, MovementKind.RECEIVE, cause)
    told = StockReceived(subject=f"sku:{sku_id}", warehouse_id=warehouse_id, before=before, after=row.on_hand)
    record(session, told, cause.by, cause.at)
    return _level(row)


async def count(
    session: AsyncSession, cause: Cause, warehouse_id: str, sku_id: str, quantity: int, if_version: int | None
) -> StockLevel:
    """So many pieces lie there, those of orders among them.

    Raises NotFound, StaleVersion where others have moved some since the version that was counted, StillAllocated where
    fewer are there than orders wait for.
    """
    if quantity < 0:
        raise ValueError("fewer than no pieces cannot lie anywhere")
    row = await _locked(session, cause, warehouse_id, sku_id, if_version)
    before = await _set(session, row, quantity, MovementKind.COUNT, cause)
    told = StockCounted(subject=f"sku:{sku_id}", warehouse_id=warehouse_id, before=before, after=row.on_hand)
    record(session, told, cause.by, cause.at)
    return _level(row)


async def adjust(
    session: AsyncSession, cause: Cause, warehouse_id: str, sku_id: str, by: int, reason: str, if_version: int | None
) -> StockLevel:
    """So many more, or fewer, without a count: broken, found. Raises what :func:`count` raises."""
    if not by or not reason.strip():
        raise ValueError("an adjustment is of at least one piece, and has a reason")
    row = await _locked(session, cause, warehouse_id, sku_id, if_version)
    if row.on_hand + by < 0:
        raise ValueError("fewer than no pieces cannot lie anywhere")
    before = await _set(session, row, row.on_hand + by, MovementKind.ADJUST, cause)
    told = StockAdjusted(
        subject=f"sku:{sku_id}", warehouse_id=warehouse_id, before=before, after=row.on_hand, reason=reason.strip()
    )
    record(session, told, cause.by, cause.at)
    return _level(row)


async def _locked(
    session: AsyncSession, cause: Cause, warehouse_id: str, sku_id: str, if_version: int | None = None
) -> Stock:
    """The row, made where there is none; nobody else writes to it now."""
    supplier_id = await session.scalar(
        select(models.Warehouse.supplier_id)
        .join(models.Product, models.Product.supplier_id == models.Warehouse.supplier_id)
        .join(models.Sku, models.Sku.product_id == models.Product.id)
        .where(models.Warehouse.id == warehouse_id, models.Sku.id == sku_id)
    )
    if supplier_id is None:
        raise NotFound("no such warehouse, or no such SKU of its supplier")
    permissions.check_owner(cause.by, supplier_id)
    query = select(Stock).where(Stock.warehouse_id == warehouse_id, Stock.sku_id == sku_id).with_for_update()
    row = await session.scalar(query.execution_options(populate_existing=True))
    if if_version is not None and if_version != (row.version if row else 0):
        raise StaleVersion(_level(row) if row else None)
    if row is None:
        row = Stock(warehouse_id=warehouse_id, sku_id=sku_id, on_hand=0, allocated=0, held=0, version=0)
        session.add(row)
        await session.flush()
    return row


async def _set(session: AsyncSession, row: Stock, on_hand: int, kind: MovementKind, cause: Cause) -> int:
    """What lay there before. What the supplier holds back goes before an order's pieces do."""
    if on_hand < row.allocated:
        raise StillAllocated(_level(row))
    before = row.on_hand
    row.held = min(row.held, on_hand - row.allocated)
    row.on_hand = on_hand
    row.version += 1
    await session.flush()
    if on_hand != before:
        await note(session, kind, [Allotment(row.sku_id, row.warehouse_id, on_hand - before)], cause)
    return before


async def sync(session: AsyncSession, cause: Cause, warehouse_id: str, told: Mapping[str, int]) -> StockSync:
    """So many pieces of each of these SKUs lie in the warehouse, as another system has it.

    Of what orders wait for, no fewer are kept: those are short, and for people to look at. What is not of the
    warehouse's supplier is unknown. Raises NotFound, ValueError.
    """
    if any(quantity < 0 for quantity in told.values()):
        raise ValueError("fewer than no pieces cannot lie anywhere")
    warehouse = await session.get(models.Warehouse, warehouse_id)
    if warehouse is None:
        raise NotFound(warehouse_id)
    permissions.check_owner(cause.by, warehouse.supplier_id)
    theirs = select(models.Sku.id).join(models.Product).where(models.Product.supplier_id == warehouse.supplier_id)
    known = set(await session.scalars(theirs))
    here = select(Stock.sku_id, Stock.on_hand, Stock.allocated).where(Stock.warehouse_id == warehouse_id)
    there = {row.sku_id: row for row in await session.execute(here.order_by(Stock.sku_id).with_for_update())}

    changed, new, short = list[dict[str, Any]](), list[dict[str, Any]](), list[str]()
    moved = list[Allotment]()
    for sku_id, quantity in sorted(told.items()):
        if sku_id not in known:
            continue
        on_hand, allocated = (there[sku_id].on_hand, there[sku_id].allocated) if sku_id in there else (0, 0)
        if quantity < allocated:
            short.append(sku_id)
        if (after := max(quantity, allocated)) == on_hand:
            continue
        moved.append(Allotment(sku_id, warehouse_id, after - on_hand))
        if sku_id in there:
            changed.append({"of_sku": sku_id, "after": after})
        else:
            new.append({"warehouse_id": warehouse_id, "sku_id": sku_id, "on_hand": after})
    if changed:
        free: ColumnElement[int] = bindparam("after", type_=Integer) - Stock.allocated
        values = {
            "on_hand": bindparam("after"),
            "held": case((Stock.held > free, free), else_=Stock.held),
            "version": Stock.version + 1,
        }
        row = Stock.warehouse_id == warehouse_id, Stock.sku_id == bindparam("of_sku")
        connection = await session.connection()
        await connection.execute(update(cast(Table, Stock.__table__)).where(*row).values(values), changed)
    if new:
        await session.execute(insert(Stock), new)
    await note(session, MovementKind.COUNT, moved, cause)
    unknown = tuple(sorted(told.keys() - known))
    event = StockSynced(subject=f"warehouse:{warehouse_id}", changed=len(moved), short=len(short), unknown=len(unknown))
    record(session, event, cause.by, cause.at)
    return StockSync(len(moved), tuple(short), unknown)


async def unbalanced(session: AsyncSession) -> Sequence[tuple[str, str]]:
    """Warehouse and SKU of every balance that is not the sum of its movements: none, or there is a fault."""
    sums = {
        name: func.coalesce(func.sum(case((StockMovement.kind.in_(kinds), StockMovement.quantity), else_=0)), 0)
        for name, kinds in (("on_hand", ON_HAND), ("allocated", ALLOCATED))
    }
    same = StockMovement.warehouse_id == Stock.warehouse_id, StockMovement.sku_id == Stock.sku_id
    query = (
        select(Stock.warehouse_id, Stock.sku_id)
        .outerjoin(StockMovement, same[0] & same[1])
        .group_by(Stock.warehouse_id, Stock.sku_id, Stock.on_hand, Stock.allocated)
        .having((sums["on_hand"] != Stock.on_hand) | (sums["allocated"] != Stock.allocated))
    )
    return [(row.warehouse_id, row.sku_id) for row in await session.execute(query)]


def _level(row: Stock) -> StockLevel:
    return StockLevel(row.warehouse_id, row.sku_id, row.on_hand, row.allocated, row.held, row.version)
