"""Customers who asked to be forgotten: kept going beside the requests, by any number of gateways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from mall_adapter.data_rights import erase_due
from storage.personal import Part

log = logging.getLogger(__name__)

PAUSE = 60.0
"""Seconds, by which somebody may be remembered beyond their time."""


async def keep_erasing(engine: AsyncEngine, parts: Sequence[Part]) -> None:
    """Until cancelled."""
    while True:
        try:
            while await erase_due(engine, parts, datetime.now(UTC)):
                pass
        except (SQLAlchemyError, OSError) as error:
            log.warning("customers are forgotten later (%s)", type(error).__name__)
        await asyncio.sleep(PAUSE)
