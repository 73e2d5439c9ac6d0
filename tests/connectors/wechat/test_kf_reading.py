"""Customer service is read whole and once, whether its bell is heard or not, and whoever dies meanwhile."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from connectors.inbound import Inbound
from connectors.wechat.crypto import Envelope
from connectors.wechat.kf import reading
from connectors.wechat.kf.api import Api
from connectors.wechat.kf.callback import PATH, Callback
from connectors.wechat.kf.errors import ERRORS
from connectors.wechat.kf.messages import account
from connectors.wechat.kf.reading import Reading
from connectors.wechat.kf.welcomes import Welcomes
from connectors.wechat.tables import KfAccount
from connectors.wechat.token import Tokens, corporate
from connectors.wechat.windows import Windows
from storage import WRITES
from storage.inbox import Inbox
from tests.connectors.conftest import free_port
from tests.connectors.wechat import reader, stand_in, wecom
from tests.connectors.wechat.shop import until
from tests.connectors.wechat.stand_in import AES_KEY
from tests.connectors.wechat.wecom import CORP_ID, SECRET, SHOP, STRANGER, TOKEN, WeCom

LI, WANG = "wmLi", "wmWang"


@pytest.fixture(scope="module")
def wecom_server() -> Iterator[WeCom]:
    with wecom.serve(free_port()) as server:
        yield server


@pytest.fixture
def service(wecom_server: WeCom) -> WeCom:
    wecom_server.__init__(wecom_server.url)  # type: ignore[misc]
    return wecom_server


class House:
    """A process of the house: what it has received, and a door at which WeCom rings."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient, url: str) -> None:
        self.received: list[Inbound] = []
        self.faults: list[Exception] = []  # raised first
        api = Api(http, url, Tokens(engine, CORP_ID, corporate(http, url, CORP_ID, SECRET)), ERRORS.token)
        self.windows = Windows(engine)
        self.reading = Reading(engine, api, self._receive, self.windows, Welcomes(engine))
        callback = Callback(self.reading, TOKEN, Envelope(AES_KEY, CORP_ID))
        app = FastAPI()
        app.include_router(callback.router())
        self.door = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.test")

    async def _receive(self, inbound: Inbound) -> bool:
        if self.faults:
            raise self.faults.pop(0)
        known = inbound.message_id in {each.message_id for each in self.received}
        if not known:
            self.received.append(inbound)
        return not known

    def texts(self) -> list[str | None]:
        return [each.text for each in self.received]

    async def hears(self, service: WeCom, of: str = SHOP) -> None:
        query, body = service.rings(of)
        assert (await self.door.post(PATH, params=query, content=body)).text == "success"

    @asynccontextmanager
    async def reads(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.reading.run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def shop(engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(reading, "PAUSE", 0.05)
    monkeypatch.setattr(reading, "PAUSES", (0.05,))
    async with engine.execution_options(**WRITES).begin() as connection:
        await connection.execute(text("DELETE FROM lease"))  # one that was cut off may have kept it
        await connection.execute(delete(Inbox))
    return House(engine, http, service.url)


async def row(engine: AsyncEngine) -> KfAccount:
    async with AsyncSession(engine) as session:
        return await session.get_one(KfAccount, SHOP)


async def read(engine: AsyncEngine, cursor: str) -> None:
    async def is_read() -> bool:
        async with AsyncSession(engine) as session:
            found = await session.get(KfAccount, SHOP)
        return found is not None and found.cursor == cursor and found.bells == found.bells_read

    await until(is_read)


async def test_what_was_written_is_read_when_it_rings(shop: House, service: WeCom, engine: AsyncEngine) -> None:
    async with shop.reads():
        await read(engine, "c0")
        service.writes(LI, "在吗")
        service.writes(WANG, "我想退货")
        await shop.hears(service)
        await read(engine, "c2")
    assert shop.texts() == ["在吗", "我想退货"]
    assert [each.sender for each in shop.received] == [f"wechat_kf:{SHOP}.{LI}", f"wechat_kf:{SHOP}.{WANG}"]
    assert service.asked[-1]["token"] in service.bells
    for _ in range(5):
        assert await shop.windows.take(account(SHOP, LI), datetime.now(UTC)) == "message"
    assert await shop.windows.take(account(SHOP, LI), datetime.now(UTC)) is None


async def test_a_bell_that_nobody_heard_is_made_up_for(
    shop: House, service: WeCom, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the first one of an account; one that the house may not manage is left alone."""
    monkeypatch.setattr(reading, "SWEEP", timedelta(seconds=0.1))
    service.writes(LI, "一")
    async with shop.reads():
        await read(engine, "c1")
        service.writes(LI, "二")
        await read(engine, "c2")
    assert shop.texts() == ["一", "二"]
    assert {each["open_kfid"] for each in service.asked} == {SHOP} and STRANGER not in str(service.asked)
    assert not any("token" in each for each in service.asked)


async def test_a_bell_that_a_process_heard_before_it_died_is_another_ones(
    shop: House, service: WeCom, engine: AsyncEngine, http: httpx.AsyncClient
) -> None:
    service.writes(LI, "在吗")
    await shop.hears(service)
    other = House(engine, http, service.url)
    async with other.reads():
        await read(engine, "c1")
    assert other.texts() == ["在吗"] and (await row(engine)).bells == 1


async def test_more_than_one_page_is_read_in_order(shop: House, service: WeCom, engine: AsyncEngine) -> None:
    service.page = 3
    for number in range(10):
        service.writes(LI, str(number))
    async with shop.reads():
        await read(engine, "c10")
    assert shop.texts() == [str(number) for number in range(10)]


async def test_what_could_not_be_written_down_is_read_again(shop: House, service: WeCom, engine: AsyncEngine) -> None:
    shop.faults = [OSError("the disk is full")]
    for words in ("一", "二"):
        service.writes(LI, words)
    async with shop.reads():
        await read(engine, "c2")
    assert shop.texts() == ["一", "二"]


async def test_a_bell_too_old_and_a_place_that_is_unknown_are_no_end(
    shop: House, service: WeCom, engine: AsyncEngine
) -> None:
    service.writes(LI, "一")
    async with shop.reads():
        await read(engine, "c1")
    service.writes(LI, "二")
    await shop.hears(service)
    service.bells = dict.fromkeys(service.bells, 0.0)
    async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
        await session.execute(update(KfAccount).values(cursor="of another company"))
    async with shop.reads():
        await read(engine, "c2")
    assert shop.texts() == ["一", "二"]


async def test_what_was_written_before_the_house_was_there_is_others(
    shop: House, service: WeCom, engine: AsyncEngine
) -> None:
    before = datetime.now(UTC) - reading.BEFORE - timedelta(minutes=1)
    service.writes(LI, "昨天的问题", at=before.timestamp())
    service.writes(LI, "现在的问题")
    async with shop.reads():
        await read(engine, "c2")
    assert shop.texts() == ["现在的问题"]


async def test_a_greeting_that_comes_too_late_is_none(shop: House, service: WeCom, engine: AsyncEngine) -> None:
    late = time.time() - 25
    service.enters(LI, at=late)
    service.enters(WANG, at=late, scene_param="card-7")
    service.enters("wmZhao")
    async with shop.reads():
        await read(engine, "c3")
    assert [(each.sender[-2:], each.event) for each in shop.received] == [("ng", "joined"), ("ao", "joined")]
    welcomes, now = Welcomes(engine), datetime.now(UTC)
    assert await welcomes.find(account(SHOP, WANG), now) is None
    assert await welcomes.find(account(SHOP, "wmZhao"), now) in service.codes
    assert await welcomes.find(account(SHOP, "wmZhao"), now + timedelta(seconds=20)) is None


async def test_a_token_that_is_over_is_renewed(shop: House, service: WeCom, engine: AsyncEngine) -> None:
    async with shop.reads():
        await read(engine, "c0")
        service.expired = True
        service.writes(LI, "在吗")
        await shop.hears(service)
        await read(engine, "c1")
    assert shop.texts() == ["在吗"] and shop.reading.check() == []


async def test_an_operator_hears_what_is_set_up_wrongly(
    engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom, shop: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wecom, "SECRET", "another")
    async with shop.reads():
        await until(lambda: shop.reading.check() == [ERRORS.configuration[40001]])


# ---- the door ----


async def test_wecom_is_shown_that_this_is_the_house(shop: House) -> None:
    sealed = stand_in.seal("5837397576500011341", CORP_ID)
    greeted = await shop.door.get(PATH, params=wecom.query(sealed) | {"echostr": sealed})
    assert (greeted.status_code, greeted.text) == (200, "5837397576500011341")


@pytest.mark.parametrize(
    ("change", "body", "status"),
    [
        ({"msg_signature": "0" * 40}, None, 403),
        ({"timestamp": "1700000000"}, None, 403),
        ({"nonce": ""}, None, 400),
        ({}, "<xml></xml>", 403),
        ({}, "no xml", 400),
    ],
)
async def test_nobody_else_rings(
    shop: House, service: WeCom, engine: AsyncEngine, change: dict[str, str], body: str | None, status: int
) -> None:
    query, rung = service.rings()
    answer = await shop.door.post(PATH, params=query | change, content=rung if body is None else body)
    assert answer.status_code == status
    async with AsyncSession(engine) as session:
        assert await session.scalar(select(func.count()).select_from(KfAccount)) == 0


async def test_what_was_sealed_for_another_company_is_none(shop: House, service: WeCom) -> None:
    sealed = stand_in.seal("<xml><Event>kf_msg_or_event</Event></xml>", "wwAnother")
    answer = await shop.door.post(PATH, params=wecom.query(sealed), content=f"<xml><Encrypt>{sealed}</Encrypt></xml>")
    assert answer.status_code == 400


# ---- kill -9 ----


async def test_killed_between_what_was_read_and_the_inbox_nothing_is_lost_and_nothing_doubled(
    engine: AsyncEngine, migrated: str, http: httpx.AsyncClient, service: WeCom, shop: House
) -> None:
    for number in range(5):
        service.writes(LI, str(number))
    command = [sys.executable, "-m", "tests.connectors.wechat.reader", migrated, service.url]
    process = await asyncio.create_subprocess_exec(*command, cwd=settings.ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdin and process.stdout
    process.stdin.write(b"go\n" * 2)
    for _ in range(2):
        assert await asyncio.wait_for(process.stdout.readline(), 60) == b"written\n"
    process.kill()
    await process.wait()
    assert (await row(engine)).cursor is None
    async with asyncio.timeout(60):
        await reader.read_on(engine, http, service.url, until=partial(read, engine, "c5"))
    async with AsyncSession(engine) as session:
        payloads = (await session.scalars(select(Inbox.payload).order_by(Inbox.id))).all()
    assert [json.loads(payload or "")["text"] for payload in payloads] == list("01234")
