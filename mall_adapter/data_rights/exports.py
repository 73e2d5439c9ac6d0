"""A copy of what is kept of a customer: a link that is good once and for a while, and what is fetched by it.

Nothing of the copy lies anywhere: it is read when it is fetched. Who has the link has to know the end of the customer's
phone, too: it may have been passed on.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from mall_adapter import models, people
from mall_adapter.data_rights.rules import RIGHTS
from mall_adapter.data_rights.subjects import subject
from mall_adapter.errors import NotFound
from mall_adapter.models.data_rights import DataExport, export_index
from privacy.columns import exact_index
from storage.personal import Part

Copy = Mapping[str, Sequence[Mapping[str, Any]]]
"""Tables of rows, by their names."""

TAIL = 4
"""Digits of the phone."""


def derive(sender: str, idempotency_key: str) -> str:
    """A token that nobody foresees who does not have the key ring; the same for a request that comes again."""
    return exact_index(json.dumps([sender, idempotency_key]), "data_export.derived")


async def ask(session: AsyncSession, customer_id: str, token: str, now: datetime) -> datetime:
    """Until when the link is good; an earlier one of the customer's is over. In the caller's transaction."""
    await people.lock_customers(session, customer_id)
    export, good_until = DataExport, now + RIGHTS.link_lasts
    await session.execute(delete(export).where(export.good_until <= now))
    await end(session, customer_id, now)
    session.add(export(token_index=export_index(token), customer_id=customer_id, asked_at=now, good_until=good_until))
    return good_until


async def end(session: AsyncSession, customer_id: str, now: datetime) -> None:
    """The customer's link is good no more."""
    before = update(DataExport).where(DataExport.customer_id == customer_id, DataExport.ended_at.is_(None))
    await session.execute(before.values(ended_at=now))


async def is_good(session: AsyncSession, token: str, now: datetime) -> bool:
    """Whether a copy can be fetched by it. Looking changes nothing: messengers look at links, too."""
    found = await session.get(DataExport, export_index(token))
    return found is not None and found.ended_at is None and found.good_until > now


async def fetch(
    session: AsyncSession, parts: Sequence[Part], token: str, tail: str, now: datetime
) -> tuple[Copy | None, int]:
    """The copy, and the link is over; or None, and how many tries are left. Raises NotFound for a link that is over.

    A wrong try is returned and not raised, so that the transaction commits it.
    """
    export = await session.get(DataExport, export_index(token), with_for_update=True)
    if export is None or export.ended_at is not None or export.good_until <= now:
        raise NotFound("no such copy")
    customer_id = str(await session.scalar(select(people.kept(literal(export.customer_id)))))
    phone = (await session.get_one(models.Customer, customer_id)).phone
    if not hmac.compare_digest(tail.encode(), phone[-TAIL:].encode()):
        export.wrong_tries += 1
        left = RIGHTS.export_tries - export.wrong_tries
        export.ended_at = None if left > 0 else now
        return None, left
    export.ended_at = now
    return await collect(session, parts, customer_id), 0


async def collect(session: AsyncSession, parts: Sequence[Part], customer_id: str) -> Copy:
    whose = await subject(session, customer_id)
    found: dict[str, Sequence[Mapping[str, Any]]] = {}
    for part in parts:
        if part.export is not None:
            found |= await part.export(session, whose)
    return found
