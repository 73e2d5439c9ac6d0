"""What a customer wants to be told of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    choice, watch = models.NoticeChoice, models.StockWatch
    choices = await session.scalars(select(choice).where(choice.customer_id.in_(subject.customer_ids)))
    watches = await session.scalars(select(watch).where(watch.customer_id.in_(subject.customer_ids)))
    return {
        "consents": [{"offers_wanted": each.marketing, "changed_at": each.changed_at} for each in choices],
        "stock_waited_for": [{"sku": each.sku_id, "since": each.since} for each in watches],
    }


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    for table in (models.NoticeChoice, models.StockWatch):
        await session.execute(delete(table).where(table.customer_id.in_(subject.customer_ids)))


PERSONAL = Part(export=_export, erase=_erase)
