"""The account's access token: one for all processes, sealed in the database, renewed by one of them at a time.

It is a stable one: fetched again it stays the same until it is nearly over, and the one before lives on for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.wechat.account import app_index
from connectors.wechat.tables import AccessToken
from connectors.wechat.transport import NotDone, Refused, Unsure, call
from privacy.columns import Damaged, damaged_as
from storage import WRITES, insert

MARGIN = timedelta(minutes=2)
"""Before its end a token is no longer used. WeChat gives the next one out from five minutes before on."""

LEASE = timedelta(seconds=20)
PATIENCE, PAUSE = 12.0, 0.1
"""Seconds for a token that somebody else is renewing, and between two looks for it."""

REST = 3.0
"""Seconds after a vain renewal in which this process does not try another."""

FORCED = timedelta(minutes=75)
"""Between two renewals that end the life of the token before: WeChat allows 20 a day."""

_FIRST = 0
"""The version of a row that has no token yet."""


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    version: int


Ask = Callable[[bool], Awaitable[dict[str, Any]]]
"""Asks for a token; True: for another one, which ends the life of the one before where the API knows such a thing."""


def stable(http: httpx.AsyncClient, base: str, app_id: str, secret: str) -> Ask:
    """Of an official account."""
    credentials = {"grant_type": "client_credential", "appid": app_id, "secret": secret}

    async def ask(force: bool) -> dict[str, Any]:
        return await call(http, f"{base}/cgi-bin/stable_token", body=credentials | {"force_refresh": force})

    return ask


def corporate(http: httpx.AsyncClient, base: str, corp_id: str, secret: str) -> Ask:
    """Of a company in WeCom, which gives the same one out until it is over."""
    credentials = {"corpid": corp_id, "corpsecret": secret}

    async def ask(force: bool) -> dict[str, Any]:
        return await call(http, f"{base}/cgi-bin/gettoken", query=credentials)

    return ask


class Tokens:
    def __init__(self, engine: AsyncEngine, app_id: str, ask: Ask) -> None:
        self._engine = engine
        self._app = app_index(app_id)
        self._asked = ask
        self._here = asyncio.Lock()  # one of this process asks the database
        self._failed: tuple[float, Refused | NotDone] | None = None  # when, and how

    async def current(self) -> Token:
        """Raises Refused or NotDone."""
        row = await self._row()
        return self._usable(row) or await self._renewed(row.version if row else _FIRST, refused=None)

    async def renewed(self, refused: Token) -> Token:
        """Another token than this one, which WeChat does not take, if there is any."""
        return await self._renewed(refused.version, refused.value)

    async def _renewed(self, seen: int, refused: str | None) -> Token:
        async with self._here:
            if self._failed and time.monotonic() < self._failed[0] + REST:
                raise self._failed[1]  # whoever waited for the same would only hear the same
            for _ in range(int(PATIENCE / PAUSE)):
                row = await self._row()
                version = row.version if row else _FIRST
                if version != seen and (token := self._usable(row)):
                    return token  # somebody else has renewed it
                if await self._lease(version):
                    try:
                        return await self._fetch(version, refused)
                    except (Refused, NotDone) as error:
                        self._failed = (time.monotonic(), error)
                        raise
                await asyncio.sleep(PAUSE)
        raise NotDone("token")

    async def _fetch(self, version: int, refused: str | None) -> Token:
        """By whoever has the lease, which ends with it."""
        try:
            answer = await self._ask(force=False)
            forced = answer["access_token"] == refused and await self._may_force()
            if forced:
                answer = await self._ask(force=True)
            token = Token(answer["access_token"], version + 1)
            now = datetime.now(UTC)
            new = {"version": token.version, "token": token.value, "lease_until": None}
            new["expires_at"] = now + timedelta(seconds=answer["expires_in"])
            await self._change(version, new | ({"forced_at": now} if forced else {}))
        except BaseException:
            await asyncio.shield(self._change(version, {"lease_until": None}))
            raise
        return token

    async def _ask(self, force: bool) -> dict[str, Any]:
        try:
            answer = await self._asked(force)
        except Unsure as error:  # a token that was not received can be asked for again
            raise NotDone(str(error)) from None
        match answer:
            case {"access_token": str(), "expires_in": int()}:
                return answer
        raise NotDone("no_token")

    async def _row(self) -> Any:
        columns = (AccessToken.version, AccessToken.token, AccessToken.expires_at, AccessToken.forced_at)
        query = select(*columns).where(AccessToken.app == self._app)
        async with AsyncSession(self._engine) as session:
            with damaged_as(""):
                return (await session.execute(query)).one_or_none()

    @staticmethod
    def _usable(row: Any) -> Token | None:
        if row is None or row.token is None or isinstance(row.token, Damaged):
            return None
        return Token(row.token, row.version) if row.expires_at > datetime.now(UTC) + MARGIN else None

    async def _may_force(self) -> bool:
        row = await self._row()
        return row is not None and (row.forced_at is None or row.forced_at + FORCED <= datetime.now(UTC))

    async def _lease(self, version: int) -> bool:
        now = datetime.now(UTC)
        free = or_(AccessToken.lease_until.is_(None), AccessToken.lease_until <= now)
        mine = update(AccessToken).where(AccessToken.app == self._app, AccessToken.version == version, free)
        mine = mine.values(lease_until=now + LEASE).returning(AccessToken.version)
        async with AsyncSession(self._engine.execution_options(**WRITES)) as session, session.begin():
            first = insert(session, AccessToken).values(app=self._app, version=_FIRST)
            await session.execute(first.on_conflict_do_nothing())
            return await session.scalar(mine, execution_options={"synchronize_session": False}) is not None

    async def _change(self, version: int, values: dict[str, Any]) -> None:
        change = update(AccessToken).where(AccessToken.app == self._app, AccessToken.version == version)
        async with AsyncSession(self._engine.execution_options(**WRITES)) as session, session.begin():
            await session.execute(change.values(values), execution_options={"synchronize_session": False})
