"""What a customer was offered. It names nobody, and stays: budgets and the experiment are reckoned by it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    offer = models.Offer
    made = select(offer).where(offer.customer_id == subject.customer_id).order_by(offer.made_at, offer.id)
    return {
        "offers": [
            {
                "id": each.id,
                "order": each.order_id,
                "kind": each.kind,
                "value_cents": each.value_cents,
                "points": each.points,
                "state": each.state,
                "why": each.why,
                "made_at": each.made_at,
            }
            for each in await session.scalars(made)
        ]
    }


PERSONAL = Part(export=_export)
