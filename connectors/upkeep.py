"""What the gateway tidies behind the requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors import choices
from connectors.media import MediaStore
from connectors.retention import Retention
from mall_adapter import SqlBackOffice
from storage import WRITES, forget_expired, inbox, outbox

PAUSE = 3600.0
"""Seconds between two rounds."""

UNHEARD = timedelta(days=30)
"""For which operators see a message that could not be worked on."""

EXPIRY_PAUSE = 60.0
"""Seconds, by which an unpaid order may outlive its time."""


async def keep_tidy(engine: AsyncEngine, media: MediaStore, kept: Retention) -> None:
    """Until cancelled."""
    while True:
        await tidy(engine, media, kept, datetime.now(UTC))
        await asyncio.sleep(PAUSE)


async def tidy(engine: AsyncEngine, media: MediaStore, kept: Retention, now: datetime) -> None:
    """Answers of commands, what buttons meant, messages that could not be worked on, and what came and went out long
    ago are forgotten when their time is over, a few in a transaction, so that nobody waits for long."""
    for forget, until in (
        (forget_expired, now),
        (choices.forget, now),
        (inbox.forget_stuck, now - UNHEARD),
        (inbox.forget, now - timedelta(days=kept.received)),
        (outbox.forget, now - timedelta(days=kept.sent)),
        (media.forget, now - timedelta(days=kept.media)),
    ):
        more = True
        while more:
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                more = await forget(session, until)


async def keep_expiring(office: SqlBackOffice) -> None:
    """Until cancelled: an order whose time to pay is over gives its goods back. Several gateways may do it at once."""
    while True:
        while await office.expire_reservations():
            pass
        await asyncio.sleep(EXPIRY_PAUSE)
