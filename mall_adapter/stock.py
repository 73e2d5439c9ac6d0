"""What lies in the warehouses, what of it belongs to orders, and the ledger of every movement.

Rows are locked always in the same order, so that two orders cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Table, Update, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, regions
from mall_adapter.errors import OutOfStock
from mall_adapter.models import MovementKind, Stock, StockMovement
from storage import Actor

ON_HAND = frozenset(MovementKind) - {MovementKind.ALLOCATE, MovementKind.RELEASE}
ALLOCATED = frozenset({MovementKind.ALLOCATE, MovementKind.RELEASE, MovementKind.SHIP})
"""Which movements a balance is the sum of."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Why goods move. ``name`` says it once and for all: goods that have moved for it do not move again."""

    name: str  # "ORD1:placed", "RT1:goods_received"
    by: Actor
    at: datetime
    order_id: str | None = None
    ticket_id: str | None = None


@dataclass(frozen=True, slots=True)
class Allotment:
    """So many pieces of a SKU that one warehouse has for an order."""

    sku_id: str
    warehouse_id: str
    quantity: int


@dataclass(slots=True)
class _Shelf:
    warehouse_id: str
    distance: int
    free: int


_SHELVES = (
    select(Stock.sku_id, Stock.warehouse_id, models.Warehouse.region, Stock.on_hand - Stock.allocated - Stock.held)
    .join(models.Warehouse, models.Warehouse.id == Stock.warehouse_id)
    .where(Stock.sku_id.in_(bindparam("items", expanding=True)))
    .order_by(Stock.sku_id, Stock.warehouse_id)
    .with_for_update(of=Stock)
)


async def allocate(session: AsyncSession, items: Mapping[str, int], region: str) -> list[Allotment]:
    """Pieces by SKU, from the warehouse that is nearest to the region, and from one where one has them all.

    By SKU, each warehouse once. The caller writes the movements with :func:`note`, once the order is there. Raises
    OutOfStock, and has changed nothing then.
    """
    shelves: dict[str, list[_Shelf]] = defaultdict(list)
    for sku_id, warehouse_id, place, free in await session.execute(_SHELVES, {"items": list(items)}):
        shelves[sku_id].append(_Shelf(warehouse_id, regions.nearness(region, place), free))
    allotted = [allotment for sku_id in sorted(items) for allotment in _allot(sku_id, items[sku_id], shelves[sku_id])]
    await _change(session, allotted, allocated=1)
    return allotted


def _allot(sku_id: str, pieces: int, shelves: list[_Shelf]) -> Iterable[Allotment]:
    if sum(max(0, shelf.free) for shelf in shelves) < pieces:
        raise OutOfStock(sku_id)
    shelves = sorted(shelves, key=lambda shelf: (shelf.free < pieces, shelf.distance, shelf.warehouse_id))
    for shelf in shelves:
        if taken := min(pieces, max(0, shelf.free)):
            yield Allotment(sku_id, shelf.warehouse_id, taken)
            pieces -= taken


async def release(session: AsyncSession, pieces: Iterable[tuple[models.OrderLine, int]], cause: Cause) -> None:
    """Gives back so many allocated pieces of these lines, which will not be shipped."""
    moved = _of_lines(pieces)
    await _change(session, moved, allocated=-1)
    await note(session, MovementKind.RELEASE, moved, cause)


async def ship(session: AsyncSession, pieces: Iterable[tuple[models.OrderLine, int]], cause: Cause) -> None:
    """So many allocated pieces of these lines leave the warehouse."""
    moved = _of_lines(pieces)
    await _change(session, moved, on_hand=-1, allocated=-1)
    await note(session, MovementKind.SHIP, moved, cause)


async def take_back(session: AsyncSession, pieces: Iterable[tuple[models.OrderLine, int]], cause: Cause) -> None:
    """So many pieces of these lines came back, can be sold again, and lie where they came from."""
    moved = _of_lines(pieces)
    await _change(session, moved, on_hand=1)
    await note(session, MovementKind.RETURN, moved, cause)


def _of_lines(pieces: Iterable[tuple[models.OrderLine, int]]) -> list[Allotment]:
    """In the order in which rows are locked."""
    moved: dict[tuple[str, str], int] = defaultdict(int)
    for line, quantity in pieces:
        moved[line.sku_id, line.fulfilment.warehouse_id] += quantity
    return [Allotment(*place, quantity) for place, quantity in sorted(moved.items())]


async def _change(session: AsyncSession, moved: list[Allotment], *, on_hand: int = 0, allocated: int = 0) -> None:
    """``on_hand`` and ``allocated`` are signs."""
    rows = [{"at_warehouse": one.warehouse_id, "of_sku": one.sku_id, "pieces": one.quantity} for one in moved]
    if rows:
        connection = await session.connection()
        await connection.execute(_update(on_hand, allocated), rows)


@cache
def _update(on_hand: int, allocated: int) -> Update:
    values: dict[str, Any] = {}
    if on_hand:
        values |= {"on_hand": Stock.on_hand + bindparam("pieces") * on_hand, "version": Stock.version + 1}
    if allocated:
        values["allocated"] = Stock.allocated + bindparam("pieces") * allocated
    here = (Stock.warehouse_id == bindparam("at_warehouse"), Stock.sku_id == bindparam("of_sku"))
    return update(cast(Table, Stock.__table__)).where(*here).values(values)


_SIGNS = {MovementKind.RELEASE: -1, MovementKind.SHIP: -1}


async def note(session: AsyncSession, kind: MovementKind, moved: Iterable[Allotment], cause: Cause) -> None:
    """Writes movements into the ledger; what has moved for the cause before is an IntegrityError."""
    rows = [
        {
            "warehouse_id": one.warehouse_id,
            "sku_id": one.sku_id,
            "kind": kind,
            "quantity": one.quantity * _SIGNS.get(kind, 1),
            "order_id": cause.order_id,
            "ticket_id": cause.ticket_id,
            "cause": f"{kind}:{cause.name}:{one.warehouse_id}:{one.sku_id}",
            "at": cause.at,
            "role": cause.by.role,
            "principal_id": cause.by.principal_id,
        }
        for one in moved
    ]
    if rows:
        connection = await session.connection()
        await connection.execute(_LEDGER, rows)


_LEDGER = insert(cast(Table, StockMovement.__table__))
