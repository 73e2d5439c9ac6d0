"""An operator takes over, speaks and hands back, as the gateway tells it to a running bot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from rasa.core.tracker_store import InMemoryTrackerStore

from tests.bot.components.conftest import Actions, Bot, status_of

GREETING = "您好，我是掌柜"


async def tell(bot: Bot, event: str, text: str = "", message_id: str | None = None, sender: str = "web:ann") -> Any:
    body = {"sender": sender, "event": event, "text": text, "message_id": message_id or event}
    async with bot.http.post(bot.url.replace("gateway", "desk") + "/event", json=body) as response:
        return response.status, await response.json()


async def said(bot: Bot, sender: str = "web:ann") -> list[str | None]:
    """Everything in the transcript, in order."""
    tracker = await bot.tracker(sender)
    assert tracker
    return [event.text for event in tracker.events if event.type_name in ("user", "bot")]


async def test_a_hand_off(bot: Bot) -> None:
    assert (await bot.says("你好"))[0]["text"] == GREETING
    assert await tell(bot, "pause", "小王") == (200, {"messages": [{"text": "小王来了", "custom": {"by": "desk"}}]})
    assert await bot.says("我的快递呢") == []
    words = "我查一下 {order_id} <b>"
    spoken = {"text": words, "custom": {"by": "operator"}}
    assert await tell(bot, "said", words, "o1") == (200, {"messages": [spoken]})
    assert await bot.says("好的") == []
    status, reply = await tell(bot, "resume")
    assert (status, reply["messages"][0]["text"]) == (200, "现在换我")
    assert (await bot.says("你好"))[0]["text"] == GREETING
    assert await said(bot) == [
        *("你好", GREETING, "小王来了", "我的快递呢", words, "好的", "现在换我", "你好", GREETING),
    ]


async def test_what_comes_again_is_recorded_once(bot: Bot) -> None:
    await bot.says("你好")
    for event, text in (("pause", "小王"), ("said", "您好"), ("resume", "")):
        first = await tell(bot, event, text)
        await bot.send("在吗", message_id=f"between {event}".replace(" ", "-"))
        assert await tell(bot, event, text) == first
    assert [text for text in await said(bot) if text in ("小王来了", "您好", "现在换我")] == [
        "小王来了",
        "您好",
        "现在换我",
    ]


async def test_a_button_of_the_farewell_works(bot: Bot, actions: Actions) -> None:
    await bot.says("你好")
    await tell(bot, "pause", "小王")
    _, farewell = await tell(bot, "resume")
    await bot.says(farewell["messages"][0]["buttons"][0]["payload"])
    assert actions.calls[0]["tracker"]["slots"]["order_id"] == "ORD66666"


async def test_the_desk_waits_for_the_turn_before_it(bot: Bot, actions: Actions) -> None:
    called, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        called.set()
        await go_on.wait()
        return status_of()

    actions.handle = slow
    turn = asyncio.create_task(bot.says("我的订单到哪了"))
    await called.wait()
    pause = asyncio.create_task(tell(bot, "pause", "小王"))
    await asyncio.wait([pause], timeout=0.2)
    assert not pause.done()
    go_on.set()
    assert await turn == [{"text": "订单 ORD12345 已发货"}]
    assert (await pause)[0] == 200
    assert await said(bot) == ["我的订单到哪了", "订单 ORD12345 已发货", "小王来了"]


async def test_what_is_not_saved_is_not_done(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise OSError("disk full")

    await bot.says("你好")
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryTrackerStore, "save", fail)
        assert (await tell(bot, "said", "您好", "o1"))[0] == 503
    assert (await tell(bot, "said", "您好", "o1"))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"sender": "web:1", "text": "", "message_id": "1"},
        {"sender": "web:1", "text": "", "message_id": "1", "event": "shout"},
        {"sender": "web:1", "text": "", "message_id": "1", "event": ["pause"]},
        {"sender": "web:张", "text": "", "message_id": "1", "event": "pause"},
        {"sender": "web:1", "message_id": "1", "event": "said"},
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(bot: Bot, body: object) -> None:
    async with bot.http.post(bot.url.replace("gateway", "desk") + "/event", json=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]


# ---- what the shop says by itself ----


async def announce(bot: Bot, text: str, message_id: str = "notice-1", **values: str) -> Any:
    body = {"sender": "web:ann", "event": "notice", "text": text, "message_id": message_id, "values": values}
    async with bot.http.post(bot.url.replace("gateway", "desk") + "/event", json=body) as response:
        return response.status, await response.json()


async def test_a_notice_is_said_once_and_its_button_works(bot: Bot, actions: Actions) -> None:
    await bot.says("你好")
    for _ in range(2):
        status, reply = await announce(bot, "utter_notice_parcel", order_id="ORD66666", place="{order_id}")
        assert (status, reply["messages"][0]["text"]) == (200, "ORD66666 到了{order_id}")
    await bot.says(reply["messages"][0]["buttons"][0]["payload"])
    assert actions.calls[0]["tracker"]["slots"]["order_id"] == "ORD66666"
    assert (await said(bot)).count("ORD66666 到了{order_id}") == 1


async def test_a_notice_may_be_the_first_that_is_said(bot: Bot) -> None:
    assert (await announce(bot, "utter_notice_parcel", order_id="ORD66666", place="上海"))[0] == 200
    assert (await bot.says("你好"))[0]["text"] == GREETING
    assert await said(bot) == ["ORD66666 到了上海", "你好", GREETING]


@pytest.mark.parametrize("text, status", [("utter_greet", 400), ("utter_notice_nowhere", 503)])
async def test_only_notices_are_said_by_themselves(bot: Bot, text: str, status: int) -> None:
    await bot.says("你好")
    assert (await announce(bot, text))[0] == status
