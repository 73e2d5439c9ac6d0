"""Conversations with a running bot through the gateway's channel."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from rasa.core.channels.channel import UserMessage
from rasa.core.processor import MessageProcessor
from rasa.core.tracker_store import InMemoryTrackerStore
from rasa.shared.core.events import BotUttered, SessionStarted, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker

import encoder
from bot.components import channel, patches
from bot.components.channel import _asked_again, _typed_lately, _understood
from bot.components.text import visible
from tests.bot.components.conftest import Actions, Bot, status_of

OFFERED = '/order_status{"order_id": "ORD12345"}'
GREETING = {"text": "您好，我是掌柜", "buttons": [{"title": "查订单", "payload": OFFERED}]}


async def test_a_conversation(bot: Bot, actions: Actions) -> None:
    assert await bot.says("你好") == [GREETING]
    assert await bot.says(OFFERED) == [{"text": "订单 ORD12345 已发货"}]
    assert actions.calls[0]["tracker"]["slots"]["order_id"] == "ORD12345"
    assert await bot.says("太差了我要投诉") == [{"text": "让您久等了", "image": "https://shop.example/sorry.png"}]
    assert await bot.heard() == ["你好", OFFERED, "太差了我要投诉"]


async def test_the_title_of_a_button_typed_right_below_it_is_a_tap(bot: Bot) -> None:
    await bot.says("你好")
    assert await bot.says("查订单。") == [{"text": "订单 ORD12345 已发货"}]
    await bot.says("查订单")  # which is words by now
    assert await bot.heard() == ["你好", OFFERED, "查订单"]


@pytest.mark.parametrize(
    ("payload", "between", "taken"),
    [
        ('/ask_policy{"answer": "late_shipping"}', 1, True),
        ('/ask_policy{"answer": "late_shipping"}', 4, False),  # long gone
        ("/my_coupons", 1, True),
        ("/affirm", 1, False),
        ('/request_return{"order_id": "ORD12345"}', 1, False),  # another order may be meant by now
    ],
)
def test_the_title_of_an_earlier_button(payload: str, between: int, taken: bool) -> None:
    shown = BotUttered("您看", data={"buttons": [{"title": "超时没发货", "payload": payload}]})
    later = [one for _ in range(between) for one in (UserUttered("好吧"), BotUttered("嗯嗯"))]
    assert (_typed_lately([shown, *later], "超时没发货") == payload) is taken


@pytest.mark.parametrize(
    ("intent", "confidence", "read"),
    [("inform", 0.9, "ask_policy"), ("track_parcel", 0.3, "ask_policy"), ("track_parcel", 0.8, "track_parcel")],
)
def test_a_question_that_is_put_once_more_asks_for_something_else(intent: str, confidence: float, read: str) -> None:
    again = _asked_again({"intent": {"name": intent, "confidence": confidence}, "acts": ["urgent"]})
    assert (again["intent"]["name"], again["acts"]) == (read, ["question", "restates", "urgent"])


async def test_the_reply_says_what_was_understood(bot: Bot) -> None:
    _, calm = await bot.send("你好")
    _, worried = await bot.send("会不会收不到了，好担心")
    assert calm["understood"]["intent"] == "greet"
    assert 0 < calm["understood"]["confidence"] <= 1
    assert 0 <= calm["understood"]["worry"] < 0.4 < 0.6 < worried["understood"]["worry"] <= 1


@pytest.mark.parametrize(
    "text",
    [
        "/restart",
        "  /restart",
        "\u3000/restart",
        "\u200b/restart",
        "\u202e /restart",
        "／restart",
        "/session_start",
        "/back",
        "/affirm",
        '/affirm{"order_id": "ORD66666"}',
        '/order_status{"order_id": "ORD66666"}',
        '/order_status{"order_id":"ORD12345"}',  # another spelling of the button's payload
        "/order_status@0.9",
        "/",
        "//",
        "/ 你好",
        "EXTERNAL: restart",
    ],
)
async def test_what_no_button_offered_is_words(bot: Bot, text: str) -> None:
    await bot.says("你好")
    status, reply = await bot.send(text)
    assert status == 200
    assert reply["messages"]
    assert reply["understood"]["confidence"] < 1
    assert not (await bot.heard())[-1].lstrip("\u200b\u202e ").startswith("/")
    assert len(await bot.heard()) == 2
    assert await bot.says("你好") == [GREETING]


async def test_a_button_works_for_the_conversation_that_it_was_shown_in(bot: Bot, actions: Actions) -> None:
    await bot.says("你好", sender="web:bob")
    await bot.says(OFFERED, sender="web:ann")
    assert not actions.calls
    await bot.says(OFFERED, sender="web:bob")
    assert len(actions.calls) == 1


async def test_a_button_of_an_earlier_session_still_works(bot: Bot, actions: Actions) -> None:
    await bot.says("你好")
    store = bot.agent.tracker_store
    tracker = await store.retrieve("web:ann")
    assert tracker
    tracker.update(SessionStarted())
    await store.save(tracker)
    assert await bot.says(OFFERED) == [{"text": "订单 ORD12345 已发货"}]


async def test_a_message_that_comes_again_gets_its_answer_again(bot: Bot, actions: Actions) -> None:
    await bot.says("你好")
    first = await bot.send("我的订单到哪了", message_id="again")
    again = await bot.send("我的订单到哪了", message_id="again")
    assert first == again
    assert first[1]["messages"] == [{"text": "订单 ORD12345 已发货"}]
    assert len(actions.calls) == 1
    await bot.says("你好")
    assert await bot.send("我的订单到哪了", message_id="again") == first
    assert await bot.heard() == ["你好", "我的订单到哪了", "你好"]


async def test_two_requests_of_one_message_are_one_turn(bot: Bot, actions: Actions) -> None:
    words = "我的订单到哪了，单号ORD12345，另外太差了我要投诉"
    first = await bot.send(words, message_id="both")
    assert first[1]["messages"] == [{"text": "订单 ORD12345 已发货"}]
    assert (first[1]["understood"]["intent"], first[1]["understood"]["also"]) == ("order_status", ["complain"])
    assert await bot.heard() == [words]
    message = actions.calls[0]["tracker"]["latest_message"]
    assert (message["text"], message["intent"]["name"]) == (words, "order_status")
    assert [part["text"] for part in message["parts"]] == ["我的订单到哪了 单号ORD12345", "太差了我要投诉"]
    assert [part["intent"]["name"] for part in message["parts"]] == ["order_status", "complain"]
    for text, entities in (
        (words, message["entities"]),
        (message["parts"][0]["text"], message["parts"][0]["entities"]),
    ):
        assert [text[found["start"] : found["end"]] for found in entities] == ["ORD12345"]
    await bot.says("你好")
    assert await bot.send(words, message_id="both") == first
    assert len(actions.calls) == 1


async def test_one_request_has_no_parts(bot: Bot, actions: Actions) -> None:
    _, reply = await bot.send("我的订单到哪了，谢谢")
    assert actions.calls[0]["tracker"]["latest_message"]["parts"] == []
    assert "also" not in reply["understood"]


async def test_a_worry_in_a_later_clause_counts(bot: Bot) -> None:
    whole = "查一下订单，运动鞋那一单，查订单状态，我好担心会不会收不到了"
    parse = await bot.agent.processor.parse_message(UserMessage(whole))
    _, reply = await bot.send(whole)
    assert parse["worry"]["score"] < reply["understood"]["worry"] <= 1


@pytest.mark.parametrize(("payload", "worry"), [("/worry_delivery", 1.0), ("/complain", 1.0), ("/greet", 0.0)])
async def test_a_button_feels_what_its_intent_says(
    bot: Bot, actions: Actions, payload: str, worry: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.components.channel._offered", lambda events: {payload})
    _, reply = await bot.send(payload)
    assert reply["understood"]["worry"] == worry


@pytest.mark.parametrize(
    ("text", "parses"),
    [
        ("你好", 1),
        ("我的订单到哪了", 1),
        ("我的订单，好", 1),
        (OFFERED, 1),  # nobody was offered it: words
        ("太差了我要投诉，服务太烂了", 3),
        ("太差了我要投诉，太差了我要投诉，太差了我要投诉", 2),
        ("我的订单到哪了，另外太差了我要投诉", 3),
        ("我的订单到哪了，谢谢你，另外太差了我要投诉", 5),
        ("好烦啊，" * 1000, 2),
        ("".join(f"怎么还不发货{letter}，" for letter in "甲乙丙丁戊己庚辛壬癸"), 9),
    ],
)
async def test_no_words_are_parsed_twice(bot: Bot, text: str, parses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    stock = MessageProcessor.parse_message

    async def parse(self: MessageProcessor, message: UserMessage, *arguments: Any) -> Any:
        parsed.append(message.text)
        return await stock(self, message, *arguments)

    monkeypatch.setattr(MessageProcessor, "parse_message", parse)
    await bot.send(text)
    assert len(parsed) == len(set(parsed)) == parses


async def test_what_was_understood_is_stored_and_reaches_the_actions(
    bot: Bot, actions: Actions, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = MessageProcessor.parse_message

    async def parse(self: MessageProcessor, message: UserMessage, *arguments: Any) -> Any:
        return {**await stock(self, message, *arguments), "topic": "delivery", "acts": ["question", "urgent"]}

    monkeypatch.setattr(MessageProcessor, "parse_message", parse)
    _, reply = await bot.send("我的订单到哪了，另外太差了我要投诉")
    tracker = await bot.tracker()
    assert tracker
    stored = json.loads(json.dumps([event.as_dict() for event in tracker.events]))
    read = DialogueStateTracker.from_dict("web:ann", stored, bot.agent.domain.slots).current_state()["latest_message"]
    for message in (actions.calls[0]["tracker"]["latest_message"], read):
        assert message["acts"] == ["question", "urgent"]
        assert message["topic"] == reply["understood"]["topic"] == "delivery"
        assert message["worry"]["score"] == reply["understood"]["worry"] > 0.5
        assert (message["worry"]["label"], bool(message["worry"]["cues"])) == ("anger", True)
        assert [part["acts"] for part in message["parts"]] == [["question", "urgent"]] * 2


@pytest.mark.parametrize(
    "clause",
    [
        "/affirm",
        '/cancel_ticket{"ticket_id": ["x"]}',
        '/order_status{"order_id": "ORD66666"}',
        OFFERED,  # offered, but as a whole message
        "\u200b/affirm",
        "／ /affirm",
        "\n/affirm",
        "\u2028/affirm",
        "//affirm",
        "另外/affirm",
        " \u202e /affirm",
        "/affirm /affirm",
    ],
)
@pytest.mark.parametrize("before", ["我的订单到哪了，", "我的订单到哪了 ", "好的\n", ""])
async def test_no_clause_is_a_payload(
    bot: Bot, actions: Actions, before: str, clause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []
    stock = MessageProcessor.parse_message

    async def parse(self: MessageProcessor, message: UserMessage, *arguments: Any) -> Any:
        parsed.append(message.text)
        return await stock(self, message, *arguments)

    if not before and clause == OFFERED:
        return
    await bot.says("你好")
    monkeypatch.setattr(MessageProcessor, "parse_message", parse)
    status, reply = await bot.send(before + clause)
    assert status == 200
    assert reply["understood"]["confidence"] < 1
    assert parsed
    assert not [text for text in parsed if visible(text).startswith("/")]
    assert all(isinstance(found["value"], str) for found in (await said(bot))["entities"])


async def said(bot: Bot) -> dict[str, Any]:
    """What is stored of the customer's last message."""
    tracker = await bot.tracker()
    assert tracker
    data: dict[str, Any] = tracker.current_state()["latest_message"]
    return data


@pytest.mark.parametrize(
    "payload",
    [
        '/order_status{"order_id": ["ORD12345"]}',
        '/order_status{"order_id": {"id": "ORD12345"}}',
        '/order_status{"order_id": 12345}',
        '/order_status{"order_id": null}',
        "/order_status[1]",
        '/order_status{"order_id": "ORD12345"',
        '/order_status["order_id"]{}}',
    ],
)
async def test_a_payload_has_strings_or_is_words_though_it_was_offered(
    bot: Bot, actions: Actions, payload: str
) -> None:
    async def offer(request: web.Request) -> web.Response:
        shown = {
            "text": "哪一单",
            "buttons": [{"title": "这单", "payload": payload}, {"title": "好", "payload": "/greet"}],
        }
        return web.json_response({"events": [], "responses": [shown]})

    actions.handle = offer
    await bot.says("我的订单到哪了")
    status, reply = await bot.send(payload)
    assert status == 200
    if "{" in payload:
        assert reply["understood"]["confidence"] < 1
        assert (await bot.heard())[-1].startswith("／")
    assert await bot.says("/greet") == [GREETING]
    assert (await said(bot))["acts"] == (await said(bot))["parts"] == []


@pytest.mark.parametrize(
    ("parse_data", "understood"),
    [
        ({}, {"intent": None, "confidence": 0.0, "worry": 0.0}),
        (
            {"intent": None, "worry": None, "topic": None, "parts": None},
            {"intent": None, "confidence": 0.0, "worry": 0.0},
        ),
        ({"intent": "greet", "topic": 7, "parts": "ab"}, {"intent": None, "confidence": 0.0, "worry": 0.0}),
        ({"intent": {"name": 7, "confidence": "x"}, "worry": []}, {"intent": None, "confidence": 0.0, "worry": 0.0}),
        ({"intent": {"name": "a", "confidence": float("nan")}}, {"intent": "a", "confidence": 0.0, "worry": 0.0}),
        ({"intent": {"name": "a", "confidence": 7}, "worry": -1}, {"intent": "a", "confidence": 1.0, "worry": 0.0}),
        ({"worry": {"score": 0.71, "label": "worry"}}, {"intent": None, "confidence": 0.0, "worry": 0.71}),
        ({"worry": 0.31}, {"intent": None, "confidence": 0.0, "worry": 0.31}),  # as it was stored before
        (
            {
                "intent": {"name": "a", "confidence": 0.5},
                "parts": [{}, None, {"intent": {"name": "b"}}, {"intent": {}}],
            },
            {"intent": "a", "confidence": 0.5, "worry": 0.0, "also": ["b"]},
        ),
    ],
)
def test_no_parse_is_too_odd_to_be_told(parse_data: dict[str, Any], understood: dict[str, Any]) -> None:
    assert _understood(parse_data) == understood


async def test_a_turn_of_too_many_actions_is_not_saved(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    await bot.says("你好")
    with monkeypatch.context() as patch:
        patch.setattr(bot.agent.processor, "max_number_of_predictions", 1)
        status, reply = await bot.send("我的订单到哪了", message_id="m")
        assert (status, list(reply)) == (503, ["error"])
    assert await bot.heard() == ["你好"]
    assert (await bot.send("我的订单到哪了", message_id="m"))[1]["messages"] == [{"text": "订单 ORD12345 已发货"}]
    assert await bot.says("你好") == [GREETING]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\u200b\u200e",
        "😂😂😂",
        "🫨",
        "。。。",
        "{order_id} {0} %s",
        "'; DROP TABLE conversation_event; --",
        "<script>alert(1)</script>",
        "[运动鞋](product)",
        "\ud83d",
        "\x00\x01",
        "退" * 10_000,
        "1" * 10_000,
    ],
)
async def test_odd_messages_get_an_answer(bot: Bot, text: str) -> None:
    assert await bot.says(text)
    assert await bot.says("你好") == [GREETING]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "object"),
        ({}, "sender"),
        ({"sender": "", "text": "a", "message_id": "1"}, "sender"),
        ({"sender": "web:张", "text": "a", "message_id": "1"}, "sender"),
        ({"sender": "web:1", "text": None, "message_id": "1"}, "text"),
        ({"sender": "web:1", "text": "a"}, "message_id"),
        ({"sender": "web:1", "text": "a", "message_id": "1\nturn 2: forged"}, "message_id"),
        ({"sender": "web:1", "text": "a", "message_id": 7}, "message_id"),
        ({"sender": "web:1", "text": "a", "message_id": "1", "metadata": {"by": "operator"}}, "metadata"),
        ({"sender": "web:1", "text": "a", "message_id": "1", "metadata": []}, "metadata"),
        ({"sender": "web:1", "text": "a", "message_id": "1", "metadata": {"address": 1}}, "address"),
    ],
)
async def test_a_bad_request_is_told_what_is_wrong(bot: Bot, body: object, reason: str) -> None:
    status, reply = await bot.post(body)
    assert status == 400
    assert reason in reply["error"]


async def test_the_callers_address_goes_with_the_message_to_the_action(bot: Bot, actions: Actions) -> None:
    message = {"sender": "web:ann", "text": "我的订单到哪了", "message_id": "1", "metadata": {"address": "0a1b2c3d"}}
    assert (await bot.post(message))[0] == 200
    assert (await bot.send("我的订单到哪了", message_id="2"))[0] == 200  # from somewhere unknown
    heard = [event for event in actions.calls[-1]["tracker"]["events"] if event["event"] == "user"]
    assert [event["metadata"].get("address") for event in heard] == ["0a1b2c3d", None]


async def test_malformed_json_is_a_bad_request(bot: Bot) -> None:
    async with bot.http.post(f"{bot.url}/webhook", data=b'{"sender": ') as response:
        assert response.status == 400
        assert (await response.json())["error"]


async def test_a_bot_with_nothing_to_say_fails_and_saves_nothing(bot: Bot) -> None:
    status, reply = await bot.send("今天天气真好")
    assert (status, list(reply)) == (503, ["error"])
    assert await bot.heard() == []


async def test_while_people_talk_the_bot_is_silent(bot: Bot, actions: Actions) -> None:
    async def hand_over(request: web.Request) -> web.Response:
        return web.json_response({"events": [{"event": "pause"}], "responses": [{"text": "同事马上来"}]})

    actions.handle = hand_over
    assert await bot.says("我的订单到哪了") == [{"text": "同事马上来"}]
    assert await bot.says("你好") == []
    assert await bot.heard() == ["我的订单到哪了", "你好"]


async def test_a_turn_ends_and_is_saved_though_the_caller_hangs_up(bot: Bot, actions: Actions) -> None:
    called, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        called.set()
        await go_on.wait()
        return status_of()

    actions.handle = slow
    caller = asyncio.create_task(bot.send("我的订单到哪了", message_id="m"))
    await called.wait()
    caller.cancel()
    await asyncio.wait([caller])
    async with bot.http.get(f"{bot.url}/health"):
        pass  # the server has answered this, so it has seen before that the caller is gone
    go_on.set()
    # the lock makes the second delivery wait for the turn
    assert (await bot.send("我的订单到哪了", message_id="m"))[1]["messages"] == [{"text": "订单 ORD12345 已发货"}]
    assert len(actions.calls) == 1


async def test_a_store_that_fails_fails_the_turn(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(InMemoryTrackerStore, "save", fail)
        assert (await bot.send("你好", message_id="m"))[0] == 503
    with monkeypatch.context() as patch:
        patch.setattr(InMemoryTrackerStore, "retrieve", fail)
        assert (await bot.send("你好", message_id="m"))[0] == 503
        async with bot.http.get(f"{bot.url}/health") as response:
            assert response.status == 503
    assert (await bot.send("你好", message_id="m"))[1]["messages"] == [GREETING]


async def test_health(bot: Bot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with bot.http.get(f"{bot.url}/health") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok"})
    monkeypatch.setattr(encoder, "load", lambda: None)
    monkeypatch.setattr(bot.agent.processor, "model_path", tmp_path / "gone.tar.gz")
    async with bot.http.get(f"{bot.url}/health") as response:
        warned = {"status": "ok", "warnings": ["no_model", "no_encoder"]}
        assert (response.status, await response.json()) == (200, warned)
    bot.agent.processor = None
    async with bot.http.get(f"{bot.url}/health") as response:
        assert response.status == 503


async def test_nothing_else_is_served(bot: Bot) -> None:
    root = bot.url.partition("/webhooks")[0]
    for path in ("/", "/status", "/conversations/web:ann/tracker", "/model/parse", "/webhooks/rest/webhook"):
        async with bot.http.get(root + path) as response:
            assert response.status == 404


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer of-the-hous", "Bearer of-the-housé", "of-the-house"])
async def test_only_the_house_is_answered(bot: Bot, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    root = bot.url.partition("/webhooks")[0]
    said = {"sender": "web:ann", "text": "你好", "message_id": "1"}
    # as a page of another site can post without asking first
    of_a_page = {"Content-Type": "text/plain", "Origin": "https://evil.example"}
    async with aiohttp.ClientSession(headers=headers) as stranger:
        for post in ({"json": said}, {"data": json.dumps(said), "headers": of_a_page}):
            async with stranger.post(f"{bot.url}/webhook", **post) as response:
                assert response.status == 401
                assert not [name for name in response.headers if name.startswith("Access-Control")]
        for path in ("/webhooks/gateway/health", "/webhooks/desk/event", "/", "/conversations/web:ann/tracker"):
            async with stranger.get(root + path) as response:
                assert response.status in (401, 405)
    assert await bot.heard() == []


async def test_one_sender_waits_and_others_do_not(bot: Bot, actions: Actions) -> None:
    go_on = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        await go_on.wait()
        return status_of()

    actions.handle = slow
    first = asyncio.create_task(bot.send("我的订单到哪了"))
    second = asyncio.create_task(bot.send("你好"))
    assert await bot.says("你好", sender="web:bob") == [GREETING]
    assert not first.done()
    assert not second.done()
    go_on.set()
    await asyncio.gather(first, second)
    assert await bot.heard() == ["我的订单到哪了", "你好"]


async def test_logs_name_the_turn_and_quote_nobody(
    bot: Bot, actions: Actions, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: web.Request) -> web.Response:
        return web.json_response({"error": "我的订单 5678"}, status=500)

    caplog.set_level(logging.INFO)
    await bot.send("你好，我叫张小明", message_id="turn-1")
    actions.handle = fail
    await bot.send("我的订单到哪了，尾号5678", message_id="turn-2")
    assert "turn turn-1: 1 messages in" in caplog.text
    assert "turn turn-2: abandoned, action_order_status" in caplog.text
    assert not any(word in caplog.text for word in ("张小明", "5678", "订单", "web:ann"))


def test_the_turn_mirrors_rasa() -> None:
    """``channel.turn`` does what these functions do; should they change, it must be looked at."""
    assert patches.fingerprint(MessageProcessor.handle_message) == "0c41d4780d2d4676"
    assert patches.fingerprint(MessageProcessor.log_message) == "f2f8ec66a291d83d"


async def test_two_messages_that_are_one_sentence(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    sure = {"就是说啊": ("complain", 0.3), "东西呢": ("complain", 0.45), "就是说啊 东西呢": ("order_status", 0.9)}
    stock = MessageProcessor.parse_message

    async def parse(self: MessageProcessor, message: UserMessage, *arguments: Any) -> Any:
        name, confidence = sure[message.text]
        guess = {"name": name, "confidence": confidence}
        return {**await stock(self, message, *arguments), "intent": guess, "intent_ranking": [guess]}

    monkeypatch.setattr(MessageProcessor, "parse_message", parse)
    _, alone = await bot.send("就是说啊")
    _, unheard = await bot.send("东西呢", sender="web:bob")
    monkeypatch.setattr(channel, "_lost", lambda tracker: True)
    _, ended = await bot.send("东西呢")
    assert [reply["understood"]["intent"] for reply in (alone, unheard, ended)] == [
        "complain",
        "complain",
        "order_status",
    ]
    monkeypatch.setattr(channel, "ONE_SENTENCE_SECONDS", 0.0)
    _, later = await bot.send("东西呢")
    assert later["understood"]["intent"] == "complain"
