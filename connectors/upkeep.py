"""What the gateway tidies behind the requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from mall_adapter import SqlBackOffice
from storage import WRITES, forget_expired

PAUSE = 3600.0
"""Seconds between two rounds."""

EXPIRY_PAUSE = 60.0
"""Seconds, by which an unpaid order may outlive its time."""


async def keep_tidy(engine: AsyncEngine) -> None:
    """Until cancelled: answers of commands are forgotten when their time is over, a few in a transaction, so that
    nobody waits for long."""
    while True:
        more = True
        while more:
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                more = await forget_expired(session, datetime.now(UTC))
        await asyncio.sleep(PAUSE)


async def keep_expiring(office: SqlBackOffice) -> None:
    """Until cancelled: an order whose time to pay is over gives its goods back. Several gateways may do it at once."""
    while True:
        while await office.expire_reservations():
            pass
        await asyncio.sleep(EXPIRY_PAUSE)
