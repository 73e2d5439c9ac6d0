"""Who the customer is, and by which accounts they write."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models
from storage.personal import Part, Rows, Subject


async def _export(session: AsyncSession, subject: Subject) -> Mapping[str, Rows]:
    customer, account = models.Customer, models.ChannelAccount
    own = await session.scalars(select(customer).where(customer.id.in_(subject.customer_ids)).order_by(customer.id))
    bound = select(account).where(account.sender_index.in_(subject.sender_indexes)).order_by(account.first_seen_at)
    return {
        "profile": [
            {
                "id": each.id,
                "name": each.name,
                "phone": each.phone,
                "address": each.address,
                "region": each.region,
                "registered_at": each.registered_at,
            }
            for each in own
        ],
        "accounts": [
            {
                "channel": each.channel,
                "account": each.sender,
                "first_seen_at": each.first_seen_at,
                "bound_at": each.bound_at,
            }
            for each in await session.scalars(bound)
        ],
    }


async def _erase(session: AsyncSession, subject: Subject, _: datetime) -> None:
    """Of the customer a number is left, to which orders and the ledger belong. Their phone may sign up anew."""
    customer = models.Customer
    for customer_id in subject.customer_ids:
        blank = {"name": "", "phone": "", "address": "", "phone_index": secrets.token_hex(32)}
        await session.execute(update(customer).where(customer.id == customer_id).values(blank))
    code = models.BindingCode
    await session.execute(delete(code).where(code.customer_id.in_(subject.customer_ids)))
    for table in (models.OwnershipProof, models.WrongProofs, models.ChannelAccount):
        await session.execute(delete(table).where(table.sender_index.in_(subject.sender_indexes)))


PERSONAL = Part(export=_export, erase=_erase)
