"""What is sold before it is there: when it is promised, and that the promise moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, orders
from mall_adapter.errors import NotFound
from mall_adapter.values import OrderStatus
from storage import Actor, Event, record


@dataclass(frozen=True, slots=True)
class PresaleMoved(Event):
    kind: ClassVar[str] = "presale_moved"
    product_id: str
    promised: datetime | None  # before
    ships_by: datetime


async def move(
    session: AsyncSession, actor: Actor, product_id: str, sku_id: str | None, ships_by: datetime, now: datetime
) -> list[str]:
    """The orders whose promise moved, by id; see :meth:`mall_adapter.ports.BackOffice.presale_moved`."""
    if ships_by.tzinfo is None or ships_by <= now:
        raise ValueError("the new date needs its zone, and lies in the future")
    product = await session.get(models.Product, product_id)
    sku = None if sku_id is None else await session.get(models.Sku, sku_id)
    if product is None or (sku_id is not None and (sku is None or sku.product_id != product_id)):
        raise NotFound(sku_id or product_id)
    line, order = models.OrderLine, models.Order
    waiting = (
        select(line.order_id)
        .join(models.Sku, models.Sku.id == line.sku_id)
        .join(order, order.id == line.order_id)
        .where(
            models.Sku.product_id == product_id if sku_id is None else models.Sku.id == sku_id,
            order.status.in_(orders.UNSHIPPED),
            # what was there when it was bought has no promise of its own
            or_(line.ships_by.is_not(None), order.status == OrderStatus.PRESALE),
        )
    )
    # a statement of its own, see orders.lock
    lock = select(order.id).where(order.id.in_(waiting)).order_by(order.id).with_for_update()
    locked = (await session.scalars(lock)).all()
    rows = orders.WHOLE_ORDERS.where(order.id.in_(waiting)).order_by(order.id)
    moved: list[str] = []
    for row in (await session.scalars(rows)).unique():
        unsent = orders.unsent(row)
        left = [each for each in row.lines if each.id in unsent]
        meant = [
            each
            for each in left
            if each.sku.product_id == product_id
            and sku_id in (None, each.sku_id)
            and (each.ships_by or row.ships_by) != ships_by
        ]
        if row.id not in locked or not meant:
            continue
        before = row.ships_by
        for each in meant:
            each.ships_by = ships_by
        for part in {each.fulfilment for each in meant}:
            own = [each.ships_by for each in left if each.fulfilment is part and each.ships_by]
            part.ships_by = max(own)  # what has no promise of its own is there, and waits for what has one
        row.ships_by = orders.promise(row)
        event = PresaleMoved(
            subject=f"order:{row.id}", region=row.region, product_id=product_id, promised=before, ships_by=ships_by
        )
        record(session, event, actor, now)
        moved.append(row.id)
    return moved
