"""What worried customers are offered unasked: kept going beside the requests, by any number of gateways."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter import offers
from mall_adapter.offers import Rules

log = logging.getLogger(__name__)

PAUSE = 2.0
"""Seconds between looks for what has happened."""

SWEEP = 30.0
"""Seconds between looks for parcels whose day is over, and for offers that nobody took."""


async def keep_offering(engine: AsyncEngine, rules: Rules) -> None:
    """Until cancelled: what went wrong in the mall becomes an offer, and what became of offers is put on record."""
    swept = 0.0
    clock = asyncio.get_running_loop().time
    while True:
        try:
            while await offers.read_on(engine, rules, datetime.now(UTC)):
                pass
            if clock() >= swept:
                await offers.offer_for_late_parcels(engine, rules, datetime.now(UTC))
                while await offers.expire(engine, datetime.now(UTC)):
                    pass
                swept = clock() + SWEEP
        except (SQLAlchemyError, OSError) as error:
            log.warning("offers are made later (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE)
