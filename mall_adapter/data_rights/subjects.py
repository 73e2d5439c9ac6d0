"""A customer, by all names under which something of theirs may be kept."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people
from mall_adapter.cards import persons
from storage.personal import Subject


async def subject(session: AsyncSession, customer_id: str) -> Subject:
    account, merger = models.ChannelAccount, models.Merger
    principal_id = people.principal_of(customer_id)
    accounts = (await session.scalars(select(account).where(account.principal_id == principal_id))).all()
    merged = await session.scalars(select(merger.gone_id).where(merger.kept_id == customer_id).order_by(merger.gone_id))
    return Subject(
        customer_id=customer_id,
        merged_ids=merged.all(),
        principal_id=principal_id,
        person=persons.of_customer(customer_id),
        senders=[each.sender for each in accounts if each.sender],
        sender_indexes=[each.sender_index for each in accounts],
        conversations=[each.conversation for each in accounts if each.conversation],
    )
