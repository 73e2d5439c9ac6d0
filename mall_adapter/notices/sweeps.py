"""What no event tells: goods that somebody waits for are there again, and coupons come to their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import models
from mall_adapter.notices.events import day
from mall_adapter.notices.kinds import KINDS
from mall_adapter.notices.telling import notify
from storage import WRITES, insert, locked_cursor

READER = "coupons"
AT_ONCE = 100


async def watch(session: AsyncSession, customer_id: str, sku_id: str, now: datetime) -> None:
    """The customer is told when there is any of it again, once; in the caller's transaction."""
    new = insert(session, models.StockWatch).values(customer_id=customer_id, sku_id=sku_id, since=now)
    await session.execute(new.on_conflict_do_nothing())


async def tell_of_stock(engine: AsyncEngine, now: datetime) -> bool:
    """Tells those who wait for goods that are free to sell again, and ends their waiting; whether there may be more."""
    waiting, stock = models.StockWatch, models.Stock
    free = exists().where(stock.sku_id == waiting.sku_id, stock.on_hand - stock.allocated - stock.held > 0)
    query = (
        select(waiting.id, waiting.customer_id, waiting.sku_id, waiting.since, models.Sku.spec, models.Product.name)
        .join(models.Sku, models.Sku.id == waiting.sku_id)
        .join(models.Product, models.Product.id == models.Sku.product_id)
        .where(free)
        .order_by(waiting.id)
        .limit(AT_ONCE)
    )
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        found = (await session.execute(query.with_for_update(of=waiting, skip_locked=True))).all()
        for each in found:
            values = {"product": each.name, "spec": each.spec}
            about, cause = f"sku:{each.sku_id}", f"watch:{each.sku_id}:{each.since.isoformat()}"
            await notify(session, each.customer_id, "back_in_stock", values, about=about, cause=cause, at=now, now=now)
        await session.execute(delete(waiting).where(waiting.id.in_([each.id for each in found])))
    return len(found) == AT_ONCE


async def tell_of_coupons(engine: AsyncEngine, now: datetime) -> None:
    """Tells of coupons that end in so many days: of each once, of those of one customer that come up together the
    first."""
    coupon = models.Coupon
    until = (now + timedelta(days=KINDS.coupon_days)).replace(microsecond=0)  # as exactly as the cursor keeps it
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        cursor = await locked_cursor(session, READER, int(now.timestamp()))
        since = datetime.fromtimestamp(cursor.position, UTC)
        ending = select(coupon).where(
            coupon.used_at.is_(None),
            coupon.customer_id.is_not(None),
            coupon.valid_until > since,
            coupon.valid_until <= until,
        )
        told = set[str]()
        for each in await session.scalars(ending.order_by(coupon.valid_until, coupon.id)):
            if each.customer_id is None or each.customer_id in told:
                continue
            told.add(each.customer_id)
            values = {"title": each.title} | day(each.valid_until)
            about, cause = f"coupons:{each.customer_id}", f"coupon:{each.id}"
            await notify(
                session, each.customer_id, "coupon_expiring", values, about=about, cause=cause, at=now, now=now
            )
        cursor.position = max(cursor.position, int(until.timestamp()))
