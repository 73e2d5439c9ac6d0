"""Reads what people have written to the accounts of customer service, and writes it into the inbox.

WeCom rings when there is something, which is kept in the database; a bell that was not heard is made up for by a look
at every account now and then. How far an account was read is moved on only when all before it is in the inbox: who is
killed in between reads the same again, and a message that is known changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.channel import Receive
from connectors.wechat.kf.api import Api
from connectors.wechat.kf.errors import ERRORS
from connectors.wechat.kf.messages import NAME, Failed, parse, parse_failure
from connectors.wechat.kf.welcomes import Welcomes
from connectors.wechat.tables import KfAccount
from connectors.wechat.transport import NotDone, Refused, Unsure
from connectors.wechat.windows import Windows
from privacy import KeyRingError
from privacy.columns import Damaged, damaged_as
from storage import WRITES, Lease, insert, outbox
from storage.outbox import Parked

log = logging.getLogger(__name__)

SWEEP = timedelta(minutes=2)
"""Between two looks at an account whose bell does not ring."""

LIST = 3600.0
"""Seconds between two looks which accounts there are."""

BEFORE = timedelta(minutes=10)
"""Before the house first hears of an account: what is older others have answered. WeCom keeps three days."""

LEASE = timedelta(seconds=30)
"""After which another process goes on with an account where one has died."""

PAUSE = 1.0
"""Seconds between looks for bells that another process has heard."""

PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Seconds after failures in a row; the last one repeats."""

TROUBLE = (Refused, NotDone, Unsure, SQLAlchemyError, OSError, KeyRingError)

ALL = ""
"""In the place of an account: the list of them."""


@dataclass(frozen=True, slots=True)
class _Failed:
    times: int  # in a row
    until: float  # monotonic, to which it rests
    code: int | None


_NEVER = _Failed(0, 0.0, None)


class Reading:
    def __init__(self, engine: AsyncEngine, api: Api, receive: Receive, windows: Windows, welcomes: Welcomes) -> None:
        self._engine = engine
        self._writing = engine.execution_options(**WRITES)
        self._api = api
        self._receive = receive
        self._windows = windows
        self._welcomes = welcomes
        self._woken = asyncio.Event()
        self._failed: dict[str, _Failed] = {}  # by account
        self._listed: float | None = None  # monotonic

    def check(self) -> list[str]:
        """What an operator has to know."""
        known = (ERRORS.configuration.get(each.code) for each in self._failed.values() if each.code is not None)
        return list(dict.fromkeys(filter(None, known)))

    async def rung(self, open_kfid: str, token: str | None) -> None:
        """There is something to read. It is written down when this returns."""
        await self._know(open_kfid)
        ring = update(KfAccount).where(KfAccount.open_kfid == open_kfid)
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(
                ring.values(bells=KfAccount.bells + 1, token=token), execution_options={"synchronize_session": False}
            )
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled. Several processes share the accounts; each is read by one at a time."""
        while True:
            self._woken.clear()
            await self._tried(ALL, self._list)
            due: list[str] = []
            with suppress(SQLAlchemyError, OSError):  # health says so
                due = await self._due()
            for open_kfid in due:
                await self._tried(open_kfid, partial(self._read, open_kfid))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), PAUSE)

    async def _tried(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """After a failure not at once again; one account does not hold up the others."""
        failed = self._failed.get(name, _NEVER)
        if time.monotonic() < failed.until:
            return
        try:
            await work()
        except TROUBLE as error:
            pause = PAUSES[min(failed.times, len(PAUSES) - 1)]
            code = error.code if isinstance(error, Refused) else None
            self._failed[name] = _Failed(failed.times + 1, time.monotonic() + pause, code)
            log.warning("customer service is read later (%s %s)", type(error).__name__, code or "")
        else:
            self._failed.pop(name, None)

    async def _list(self) -> None:
        """An account that nobody has heard of has not rung yet, or nobody has heard it."""
        if self._listed is not None and time.monotonic() < self._listed + LIST:
            return
        for open_kfid, _ in await self._api.accounts():
            await self._know(open_kfid)
        self._listed = time.monotonic()

    async def _know(self, open_kfid: str) -> None:
        async with AsyncSession(self._writing) as session, session.begin():
            new = insert(session, KfAccount).values(
                open_kfid=open_kfid, since=datetime.now(UTC) - BEFORE, bells=0, bells_read=0
            )
            await session.execute(new.on_conflict_do_nothing())

    async def _due(self) -> list[str]:
        row, late = KfAccount, datetime.now(UTC) - SWEEP
        query = select(row.open_kfid).where(or_(row.bells > row.bells_read, row.read_at.is_(None), row.read_at < late))
        async with AsyncSession(self._engine) as session:
            return list((await session.scalars(query)).all())

    async def _read(self, open_kfid: str) -> None:
        lease = Lease(self._engine, f"wechat_kf.{open_kfid}")
        while await lease.hold(LEASE, datetime.now(UTC)):
            try:
                if not await self._page(open_kfid):
                    break
            finally:
                await lease.give_back(datetime.now(UTC))

    async def _page(self, open_kfid: str) -> bool:
        """Whether there may be more."""
        async with AsyncSession(self._engine) as session:
            with damaged_as(""):
                row = await session.get_one(KfAccount, open_kfid)
        bell = row.token if row.bells > row.bells_read and not isinstance(row.token, Damaged) else None
        answer = await self._asked(open_kfid, row.cursor, bell)
        messages, cursor = answer.get("msg_list", ()), answer.get("next_cursor")
        for message in messages:
            await self._take(message, row.since)
        more = answer.get("has_more") == 1 and bool(cursor) and cursor != row.cursor
        moved: dict[str, Any] = {"cursor": cursor} if isinstance(cursor, str) and cursor else {}
        if not more:
            moved |= {"bells_read": row.bells, "read_at": datetime.now(UTC)}
        on = update(KfAccount).where(
            KfAccount.open_kfid == open_kfid, KfAccount.cursor.is_not_distinct_from(row.cursor)
        )
        async with AsyncSession(self._writing) as session, session.begin():
            await session.execute(on.values(moved), execution_options={"synchronize_session": False})
        return more

    async def _asked(self, open_kfid: str, cursor: str | None, bell: str | None) -> dict[str, Any]:
        try:
            return await self._api.messages(open_kfid, cursor, bell)
        except Refused as error:
            if bell and error.code in ERRORS.bell:
                return await self._asked(open_kfid, cursor, None)
            if cursor and error.code in ERRORS.cursor:
                log.warning("an account of customer service is read anew from three days back")
                return await self._asked(open_kfid, None, bell)
            raise

    async def _take(self, message: Any, since: datetime) -> None:
        if not isinstance(message, dict):
            return
        if failed := parse_failure(message):
            await self._return(failed)
        parsed = parse(message)
        if parsed is None or parsed.at < since:
            return
        inbound, now = parsed.inbound, datetime.now(UTC)
        if parsed.answerable:
            await self._windows.open(inbound.account, "message", parsed.at)
        if parsed.welcome and inbound.good_until:
            if now < inbound.good_until:
                await self._welcomes.keep(inbound.account, parsed.welcome, inbound.good_until, now)
            elif not inbound.data:
                return  # too late for a greeting
        await self._receive(inbound)

    async def _return(self, failed: Failed) -> None:
        """What had been sent, and did not arrive, waits for the person or for an operator."""
        outcome, now = ERRORS.returned(failed.reason), datetime.now(UTC)
        if isinstance(outcome, Parked):
            await self._windows.shut(failed.account)
        async with AsyncSession(self._writing) as session, session.begin():
            sender = f"{NAME}:{failed.account}"
            if await outbox.returned(session, NAME, sender, failed.number, outcome, now):
                log.warning("message %d did not arrive (%s)", failed.number, outcome.error_class)
