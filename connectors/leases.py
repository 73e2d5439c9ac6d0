"""What a process has in hand is lent to it for a short while, and longer as long as it lives."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.inbox import Leased

log = logging.getLogger(__name__)

TROUBLE = (SQLAlchemyError, OSError)

LEASE = timedelta(seconds=6)
"""So long lies what a process that died had in hand."""

One = TypeVar("One", bound=Leased)
Renew = Callable[[AsyncEngine, Collection[One], datetime], Awaitable[None]]


async def keep_renewing(engine: AsyncEngine, held: Mapping[int, One], lease: timedelta, renew: Renew[One]) -> None:
    """Until cancelled; ``held`` changes meanwhile."""
    while True:
        await asyncio.sleep(lease.total_seconds() / 3)
        until = datetime.now(UTC) + lease
        old = [each for each in held.values() if each.until < until - lease / 4]
        try:
            if old:
                await renew(engine, old, until)
        except TROUBLE as error:
            log.warning("leases were not renewed (%s)", type(error).__name__)
