"""One token for all processes: each ``Tokens`` here is a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.wechat import token as tokens
from connectors.wechat.api import Api
from connectors.wechat.errors import ERRORS
from connectors.wechat.tables import AccessToken
from connectors.wechat.token import Tokens, stable
from connectors.wechat.transport import NotDone, Refused
from storage import WRITES, create_engine
from tests.connectors.wechat.stand_in import APP_ID, SECRET, StandIn

Process = Callable[[], Tokens]


@pytest.fixture
async def process(
    migrated: str, engine: AsyncEngine, http: httpx.AsyncClient, wechat: StandIn
) -> AsyncIterator[Process]:
    engines: list[AsyncEngine] = []

    def start() -> Tokens:
        engines.append(create_engine(migrated))
        return Tokens(engines[-1], APP_ID, stable(http, wechat.url, APP_ID, SECRET))

    yield start
    for each in engines:
        await each.dispose()


async def change(engine: AsyncEngine, **values: Any) -> None:
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(update(AccessToken).values(values))


async def test_many_askers_of_many_processes_fetch_one_token(process: Process, wechat: StandIn) -> None:
    wechat.slow = 0.2
    first, second, third = process(), process(), process()
    found = await asyncio.gather(*(each.current() for each in (first, second, third) * 10))
    assert {token.value for token in found} == {wechat.token}
    assert wechat.fetched == 1


async def test_a_token_is_used_until_shortly_before_its_end(
    process: Process, wechat: StandIn, engine: AsyncEngine
) -> None:
    one = process()
    first = await one.current()
    await change(engine, expires_at=datetime.now(UTC) + tokens.MARGIN + timedelta(seconds=30))
    assert await one.current() == first and wechat.fetched == 1
    wechat.expires -= 7000
    await change(engine, expires_at=datetime.now(UTC) + tokens.MARGIN - timedelta(seconds=30))
    assert (await one.current()).value == wechat.token != first.value


async def test_a_refused_token_is_renewed_once_for_all(process: Process, wechat: StandIn) -> None:
    processes = [process() for _ in range(3)]
    old = await processes[0].current()
    wechat.rotate()
    wechat.slow = 0.2
    found = await asyncio.gather(*(each.renewed(old) for each in processes * 5))
    assert {token.value for token in found} == {wechat.token} and wechat.token != old.value
    assert wechat.fetched == 2 and wechat.forced == 0


async def test_wechat_is_made_to_give_another_one_only_once_in_a_while(process: Process, wechat: StandIn) -> None:
    one = process()
    token = await one.current()
    for _ in range(5):  # refused, though WeChat hands it out again and again
        token = await one.renewed(token)
    assert wechat.forced == 1


async def test_what_a_process_that_died_was_renewing_another_one_renews(
    process: Process, wechat: StandIn, engine: AsyncEngine
) -> None:
    one = process()
    old = await one.current()
    wechat.rotate()
    await change(engine, lease_until=datetime.now(UTC) + timedelta(seconds=0.5))
    assert (await one.renewed(old)).value == wechat.token


async def test_a_token_that_was_not_to_be_had_is_asked_for_again(process: Process, wechat: StandIn) -> None:
    wechat.secret = "thawed later"
    with pytest.raises(Refused) as refused:
        await process().current()
    assert refused.value.code == 40125
    wechat.secret = SECRET
    assert (await process().current()).value == wechat.token


async def test_those_who_wait_hear_of_a_vain_try_and_do_not_repeat_it(process: Process, wechat: StandIn) -> None:
    wechat.secret, wechat.slow = "another", 0.1
    one = process()
    found = await asyncio.gather(*(one.current() for _ in range(20)), return_exceptions=True)
    assert all(isinstance(each, Refused) for each in found) and wechat.fetched == 1


async def test_a_wechat_that_is_away_is_no_more_than_that(
    engine: AsyncEngine, http: httpx.AsyncClient, wechat: StandIn
) -> None:
    with pytest.raises(NotDone) as error:
        await Tokens(engine, APP_ID, stable(http, "http://127.0.0.1:9", APP_ID, SECRET)).current()
    assert SECRET not in repr(error.value)


async def test_neither_token_nor_account_stand_open_in_the_database(
    process: Process, wechat: StandIn, engine: AsyncEngine
) -> None:
    token = await process().current()
    async with engine.connect() as connection:
        row = str((await connection.execute(text("SELECT * FROM wechat_access_token"))).one()).encode()
    assert token.value.encode() not in row and APP_ID.encode() not in row


async def test_a_sealed_token_that_does_not_open_is_fetched_anew(
    process: Process, wechat: StandIn, engine: AsyncEngine
) -> None:
    one = process()
    await one.current()
    async with engine.execution_options(**WRITES).begin() as connection:
        broken = text("UPDATE wechat_access_token SET token = :broken").bindparams(broken=b"\0" * 60)
        await connection.execute(broken)
    assert (await one.current()).value == wechat.token and wechat.fetched == 2


@pytest.mark.parametrize("code", [40001, 42001])
async def test_a_call_is_made_once_more_with_another_token_and_then_given_up(
    process: Process, http: httpx.AsyncClient, wechat: StandIn, code: int
) -> None:
    api = Api(http, wechat.url, process(), ERRORS.token)
    wechat.follow("o" * 28)
    await api.send("o" * 28, "text", {"content": "一"})
    if code == 40001:
        wechat.rotate()
    else:
        wechat.expires = 0
    await api.send("o" * 28, "text", {"content": "二"})
    assert wechat.texts("o" * 28) == ["一", "二"]
    wechat.calls, wechat.fetched, wechat.no_token_is_good = 0, 0, True
    with pytest.raises(Refused) as refused:
        await api.send("o" * 28, "text", {"content": "三"})
    assert refused.value.code == 40001
    assert (wechat.calls, wechat.fetched) == (2, 2)  # the second one forced
