"""What the gateway tidies behind the requests."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors import choices
from connectors.media import MediaStore
from connectors.retention import Retention
from mall_adapter import HouseRules, SqlBackOffice, energy
from storage import WRITES, forget_expired, inbox, outbox

log = logging.getLogger(__name__)

PAUSE = 3600.0
"""Seconds between two rounds."""

UNHEARD = timedelta(days=30)
"""For which operators see a message that could not be worked on."""

EXPIRY_PAUSE = 60.0
"""Seconds, by which an unpaid order may outlive its time."""


EARNING_PAUSE = 2.0
"""Seconds between looks for what friends have done."""

DUE_PAUSE = 60.0
"""Seconds between looks for energy that may be spent from now on, or is gone."""


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


async def keep_earning(engine: AsyncEngine, rules: HouseRules) -> None:
    """Until cancelled: what friends have done by a card is earned, and energy is due, gone or told of in its time.
    Several gateways may do it at once. While there are no good rules, events wait."""
    clock, due = asyncio.get_running_loop().time, 0.0
    while True:
        now = datetime.now(UTC)
        try:
            earning, after_sales = rules.energy.now, rules.after_sales.now
            if earning is not None and after_sales is not None:
                while await energy.read_on(engine, earning, now):
                    pass
                if clock() >= due:
                    while await energy.release_due(engine, after_sales.limits["no_reason_days"], now):
                        pass
                    while await energy.expire_due(engine, now):
                        pass
                    await energy.tell_of_expiring(engine, earning, now)
                    due = clock() + DUE_PAUSE
        except (SQLAlchemyError, OSError) as error:
            log.warning("energy is booked later (%s)", type(error).__name__)
        await asyncio.sleep(EARNING_PAUSE)
