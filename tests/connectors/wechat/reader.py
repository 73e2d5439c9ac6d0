"""Reads customer service into the inbox; as a process of its own, to be killed, it is told when to write one down.

``python -m tests.connectors.wechat.reader DATABASE WECOM`` waits for a line before each message, and prints one when
that is in the inbox.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.inbound import Inbound
from connectors.wechat.kf import reading
from connectors.wechat.kf.api import Api
from connectors.wechat.kf.errors import ERRORS
from connectors.wechat.kf.welcomes import Welcomes
from connectors.wechat.token import Tokens, corporate
from connectors.wechat.windows import Windows
from connectors.worker import message_of
from storage import WRITES, create_engine, inbox
from tests.connectors.wechat.wecom import CORP_ID, SECRET


async def read_on(
    engine: AsyncEngine,
    http: httpx.AsyncClient,
    url: str,
    until: Callable[[], Awaitable[None]],
    before: Callable[[], Awaitable[None]] | None = None,
    after: Callable[[], None] = lambda: None,
) -> None:
    async def receive(inbound: Inbound) -> bool:
        if before:
            await before()
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            found = await inbox.accept(session, message_of(inbound), datetime.now(UTC), None)
        after()
        return not isinstance(found, inbox.Known)

    api = Api(http, url, Tokens(engine, CORP_ID, corporate(http, url, CORP_ID, SECRET)), ERRORS.token)
    task = asyncio.create_task(reading.Reading(engine, api, receive, Windows(engine), Welcomes(engine)).run())
    await until()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def main(database: str, url: str) -> None:
    async def told() -> None:
        await asyncio.to_thread(sys.stdin.readline)

    async def for_ever() -> None:
        await asyncio.Event().wait()

    reading.LEASE = timedelta(seconds=0.5)
    async with httpx.AsyncClient(trust_env=False) as http:
        await read_on(create_engine(database), http, url, for_ever, told, lambda: print("written", flush=True))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
