"""What was bought after somebody had come to a card, counted as it happens."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter.cards import read_on

log = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds between looks for what has happened."""


async def keep_counting(engine: AsyncEngine) -> None:
    """Until cancelled. Several gateways may do it at once."""
    while True:
        try:
            while await read_on(engine, datetime.now(UTC)):
                pass
        except (SQLAlchemyError, OSError) as error:
            log.warning("orders are counted for cards later (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE)
