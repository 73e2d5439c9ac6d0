"""A person takes over, speaks and hands back, through the bot's channel."""

from __future__ import annotations

from typing import Any

from tests.bot.components.conftest import Bot


async def desk(bot: Bot, event: str, **more: Any) -> int:
    async with bot.http.post(f"{bot.url}/desk", json={"sender": "web:ann", "event": event, **more}) as response:
        return response.status


async def test_the_bot_is_silent_while_a_person_answers(bot: Bot) -> None:
    assert await bot.says("你好")
    assert await desk(bot, "pause") == 200
    assert await bot.says("我的订单到哪了") == []
    assert await desk(bot, "resume") == 200
    assert await bot.says("你好")
    assert await bot.heard() == ["你好", "我的订单到哪了", "你好"]


async def test_what_a_person_said_stands_in_the_conversation_once(bot: Bot) -> None:
    await bot.says("你好")
    for _ in range(2):
        assert await desk(bot, "said", text="我来帮您", message_id="HF1:k1") == 200
        assert await desk(bot, "pause") == 200
    tracker = await bot.tracker()
    assert tracker
    spoken = [event for event in tracker.events if event.type_name == "bot" and event.text == "我来帮您"]
    assert [event.metadata["by"] for event in spoken] == ["operator"]
    assert [event.type_name for event in tracker.events].count("pause") == 1


async def test_an_unknown_event_is_refused(bot: Bot) -> None:
    assert await desk(bot, "restart") == 400
