"""Leads, behind the requests: what cards and conversations tell of them is read on."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import leads

log = logging.getLogger(__name__)

PAUSE = 2.0
SWEEP = 600.0
"""Seconds between looks for those who have fallen silent."""


async def keep_following(engine: AsyncEngine) -> None:
    """Until cancelled. Several gateways may do it at once."""
    silent, clock = 0.0, asyncio.get_running_loop().time
    while True:
        try:
            while await leads.read_on(engine, datetime.now(UTC)):
                pass
            while await leads.read_conversations(engine, datetime.now(UTC)):
                pass
            if clock() >= silent:
                while await leads.sweep(engine, datetime.now(UTC)):
                    pass
                silent = clock() + SWEEP
        except (SQLAlchemyError, OSError) as error:
            log.warning("leads are followed later (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE)
