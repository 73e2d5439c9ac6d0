"""What the gateway tidies behind the requests."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from storage import WRITES, forget_expired

PAUSE = 3600.0
"""Seconds between two rounds."""


async def keep_tidy(engine: AsyncEngine) -> None:
    """Until cancelled: answers of commands are forgotten when their time is over, a few in a transaction, so that
    nobody waits for long."""
    while True:
        more = True
        while more:
            async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
                more = await forget_expired(session, datetime.now(UTC))
        await asyncio.sleep(PAUSE)
