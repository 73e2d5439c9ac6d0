"""People's messages are fetched, and forgotten by Telegram only when they are written down."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from sqlalchemy.exc import OperationalError

from connectors.inbound import Inbound
from connectors.rendering import Bubble
from connectors.telegram import polling
from connectors.telegram.bot import Telegram
from tests.connectors.telegram.conftest import House
from tests.connectors.telegram.stand_in import PERSON, PRIVATE, StandIn, message, refusal


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "ALBUM_SECONDS", 0.3)
    monkeypatch.setattr(polling, "PAUSES", (0.02,) * 3)
    monkeypatch.setattr(polling, "LOOK_SECONDS", 0.05)


@asynccontextmanager
async def listening(telegram: Telegram) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(telegram.listen())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_messages_come_in_their_order_and_are_acknowledged(telegram: Telegram, shop: House, api: StandIn) -> None:
    numbers = [api.say(text, message_id=at) for at, text in enumerate(("你好", "我要退货", "杯子"))]
    async with listening(telegram):
        await api.acknowledged(numbers[-1])
    assert shop.texts() == ["你好", "我要退货", "杯子"]
    menu = json.loads(api.sent("setMyCommands")[0]["commands"])
    assert {"command": "human", "description": "找人工客服"} in menu


async def test_a_webhook_of_before_is_taken_back(telegram: Telegram, shop: House, api: StandIn) -> None:
    api.webhook["url"] = "https://old.test/telegram/webhook"
    api.say("你好")
    async with listening(telegram):
        await shop.heard(1)
    assert api.webhook["url"] == ""
    assert "drop_pending_updates" not in api.sent("deleteWebhook")[0]


async def test_what_was_not_written_down_comes_again(telegram: Telegram, shop: House, api: StandIn) -> None:
    shop.refusals = [OperationalError("", {}, Exception("database is locked")), OSError("disk full")]
    first, second = api.say("你好", message_id=1), api.say("在吗", message_id=2)
    async with listening(telegram):
        await api.acknowledged(second)
    assert shop.texts() == ["你好", "在吗"]
    assert not shop.refusals
    assert api.updates == []
    assert first < second


async def test_a_gateway_that_dies_before_it_acknowledges_loses_nothing_and_doubles_nothing(
    shop: House, api: StandIn
) -> None:
    number = api.say("你好")
    written = asyncio.Event()

    class Dying(House):
        async def receive(self, inbound: Inbound) -> bool:
            new = await shop.receive(inbound)
            written.set()
            await asyncio.sleep(60)
            return new

    dying = Dying(shop._engine, shop._http).telegram()
    async with listening(dying):
        await written.wait()
    assert [one["update_id"] for one in api.updates] == [number]
    async with listening(shop.telegram()):
        await api.acknowledged(number)
    assert shop.texts() == ["你好"]


async def test_an_update_that_cannot_be_read_holds_up_nobody(
    telegram: Telegram, shop: House, api: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    api.add(message={"message_id": "?", "text": "我的手机号是 13800000000"})
    api.add(message=["?"])
    api.add(message=message(message_id=2, text="在吗", reply_to_message={"of": "next year"}))
    number = api.say("你好", message_id=3)
    with caplog.at_level(logging.INFO):
        async with listening(telegram):
            await api.acknowledged(number)
    assert shop.texts() == ["在吗", "你好"]
    assert "cannot be read" in caplog.text
    assert "138" not in caplog.text


async def test_an_album_is_one_message_though_its_pieces_come_one_by_one(
    telegram: Telegram, shop: House, api: StandIn
) -> None:
    def piece(number: int, caption: str | None = None) -> int:
        photo = [{"file_id": f"p{number}", "file_unique_id": f"u{number}", "width": 1, "height": 1}]
        return api.add(message=message(message_id=number, media_group_id="a", photo=photo, caption=caption))

    piece(1, "都碎了")
    async with listening(telegram):
        await api.called("getUpdates")  # which gave the first one alone
        last = [piece(number) for number in (2, 3)][-1]
        api.say("怎么办", message_id=4)
        await api.acknowledged(last)
        await shop.heard(2)
    album, words = shop.received
    assert ([one.handle for one in album.media], album.text, words.text) == (["p1", "p2", "p3"], "都碎了", "怎么办")


async def test_a_tap_is_answered_also_where_that_is_too_late(telegram: Telegram, shop: House, api: StandIn) -> None:
    api.scripted["answerCallbackQuery"] = [
        refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
    ]
    for number in ("1", "2"):
        tap = {"id": number, "from": PERSON, "chat_instance": "1", "data": "k-1"}
        api.add(callback_query=tap | {"message": message(message_id=1)})
    async with listening(telegram):
        await api.called("answerCallbackQuery", 2)
        await shop.heard(2)
    assert [one.choice for one in shop.received] == ["k-1", "k-1"]


async def test_a_group_that_migrated_is_written_to_by_its_new_id(telegram: Telegram, shop: House, api: StandIn) -> None:
    old = {"id": -5, "type": "group", "title": "团购群"}
    number = api.add(message=message(chat=old, migrate_to_chat_id=-1005))
    async with listening(telegram):
        await api.acknowledged(number)
        await telegram.send("7@-5", Bubble("您好"), "1")
    assert [call["chat_id"] for call in api.sent()] == ["-1005"]
    assert shop.received == []


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (refusal(502, "Bad Gateway"), "连不上 Telegram"),
        (refusal(409, "Conflict: terminated by other getUpdates request"), "连不上 Telegram"),
        (refusal(401, "Unauthorized"), "TELEGRAM_BOT_TOKEN"),
    ],
)
async def test_trouble_is_told_and_passes(
    trouble: object, told: str, telegram: Telegram, shop: House, api: StandIn
) -> None:
    api.scripted["getUpdates"] = [trouble] * 4  # type: ignore[list-item]
    seen: list[str] = []
    api.say("你好")
    async with listening(telegram):
        while not shop.received:
            seen += await telegram.check()
            await asyncio.sleep(0.005)
        await api.called("getUpdates", 6)
        assert await telegram.check() == []
    assert any(told in one for one in seen)


async def test_asking_too_often_is_made_up_for(telegram: Telegram, shop: House, api: StandIn) -> None:
    api.scripted["getUpdates"] = [refusal(429, "Too Many Requests", retry_after=1)]
    api.say("你好")
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with listening(telegram):
        await shop.heard(1)
    assert loop.time() - began >= 1.0


# ---- several gateways ----


async def test_of_two_gateways_one_polls_and_the_other_goes_on_when_it_stops(shop: House, api: StandIn) -> None:
    first, second = shop.telegram(), shop.telegram()
    async with AsyncExitStack() as stack:
        async with listening(first):
            await api.called("getUpdates")
            await stack.enter_async_context(listening(second))
            await api.called("setMyCommands", 2)
            number = api.say("你好", message_id=1)
            await api.acknowledged(number)
            assert len(api.sent("deleteWebhook")) == 1  # which whoever polls begins with
        later = api.say("还在吗", message_id=2)
        await api.acknowledged(later)
    assert shop.texts() == ["你好", "还在吗"]
    assert {one.sender for one in shop.received} == {f"telegram:{PRIVATE['id']}"}
