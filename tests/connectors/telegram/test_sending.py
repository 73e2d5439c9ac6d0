"""What goes out to Telegram, and what its answers mean: each is an outcome, and none raises."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

import settings
from connectors.rendering import Bubble, Choice
from connectors.telegram.bot import Telegram
from connectors.telegram.pace import Pace
from connectors.telegram.sending import Place
from storage.outbox import Dead, Outcome, Retry, Sent
from tests.connectors.telegram.conftest import House
from tests.connectors.telegram.stand_in import Answer, StandIn, refusal

HELLO = Bubble("您好")
BAD_GATEWAY = "<html><body>502 Bad Gateway</body></html>"
STRANGE = {"ok": True, "result": {"message_id": 9, "date": "tomorrow", "of_next_year": True}}


def word(outcome: Outcome) -> str:
    """Its class, as in ``Retry later:429``."""
    return f"{type(outcome).__name__} {getattr(outcome, 'error_class', '')}".strip()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        # what is no TelegramAPIError for aiogram, though nothing was sent
        pytest.param(Answer(502, BAD_GATEWAY), "Retry later:unavailable", id="502 in HTML"),
        pytest.param(Answer(429, BAD_GATEWAY), "Retry later:unavailable", id="429 in HTML"),
        pytest.param(Answer(200, BAD_GATEWAY), "Retry later:unavailable", id="200 in HTML"),
        pytest.param(Answer(500, '{"ok": false}'), "Retry later:unavailable", id="500 without a description"),
        pytest.param(Answer(500, '{"ok": true}'), "Retry later:unavailable", id="500 that is ok"),
        pytest.param(Answer(200, "[]"), "Retry later:unavailable", id="a list"),
        pytest.param(refusal(500, "Internal Server Error: restart"), "Retry later:unavailable", id="restart"),
        pytest.param(refusal(429, "Too Many Requests"), "Retry later:unavailable", id="429 without parameters"),
        pytest.param(refusal(429, "Too Many Requests", retry_after=7), "Retry later:429", id="429"),
        # what was sent
        pytest.param(Answer(200, json.dumps(STRANGE)), "Sent", id="a surprising result"),
        pytest.param(Answer(200, '{"ok": true, "result": true}'), "Sent", id="another one"),
        # whoever is not there
        pytest.param(refusal(403, "Forbidden: bot was blocked by the user"), "Dead person", id="blocked"),
        pytest.param(refusal(403, "Forbidden: user is deactivated"), "Dead person", id="deactivated"),
        pytest.param(
            refusal(403, "Forbidden: bot can't initiate conversation with a user"), "Dead person", id="never met"
        ),
        pytest.param(refusal(400, "Bad Request: chat not found"), "Dead person", id="no such chat"),
        pytest.param(refusal(400, "Bad Request: PEER_ID_INVALID"), "Dead person", id="no such peer"),
        pytest.param(
            refusal(400, "Bad Request: not enough rights to send text messages to the chat"), "Dead person", id="muted"
        ),
        # what is never taken
        pytest.param(refusal(400, "Bad Request: message is too long"), "Dead content", id="too long"),
        pytest.param(refusal(400, "Bad Request: can't parse entities"), "Dead content", id="entities"),
        pytest.param(refusal(400, "Bad Request: something new"), "Dead content", id="something new"),
        # what an operator has to see to
        pytest.param(refusal(401, "Unauthorized"), "Retry configuration", id="token revoked"),
        pytest.param(refusal(404, "Not Found"), "Retry configuration", id="no such token"),
        # nobody knows
        pytest.param(Answer(200, "", cut=True), "Unknown later:no_answer", id="cut off"),
    ],
)
async def test_what_an_answer_means(answer: Answer, expected: str, telegram: Telegram, api: StandIn) -> None:
    api.scripted["sendMessage"] = [answer]
    outcome = await telegram.send("7", HELLO, "1")
    assert word(outcome) == expected
    assert len(api.sent()) == 1
    if answer.body == json.dumps(STRANGE):
        assert outcome == Sent("9")
    if expected == "Retry later:429":
        assert isinstance(outcome, Retry) and 5 < (outcome.at - datetime.now(UTC)).total_seconds() <= 7
        assert word(await telegram.send("7", HELLO, "1")) == "Retry later:pace"  # without asking again
        assert len(api.sent()) == 1


async def test_nobody_listens(shop: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_API_BASE", "http://127.0.0.1:9")
    telegram = shop.telegram()
    assert word(await telegram.send("7", HELLO, "1")) == "Retry later:network"
    await telegram.typing("7")
    await telegram._bot.session.close()


async def test_no_answer_in_time(telegram: Telegram, api: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: dict[str, Any]) -> None:
        await asyncio.sleep(3)

    monkeypatch.setattr(api, "_sendMessage", silent)
    telegram._bot.session.timeout = 0.2
    assert word(await telegram.send("7", HELLO, "1")) == "Unknown later:no_answer"


async def test_a_refused_token_is_told_until_it_works_again(telegram: Telegram, api: StandIn) -> None:
    assert await telegram.check() == []
    api.scripted["sendMessage"] = [refusal(401, "Unauthorized")]
    await telegram.send("7", HELLO, "1")
    [told] = await telegram.check()
    assert "TELEGRAM_BOT_TOKEN" in told
    await telegram.send("8", HELLO, "2")
    assert await telegram.check() == []


async def test_a_group_that_has_another_id_is_sent_to_by_that(telegram: Telegram, api: StandIn) -> None:
    api.migrated[-5] = -1005
    assert isinstance(await telegram.send("-5", HELLO, "1"), Sent)
    assert [call["chat_id"] for call in api.sent()] == ["-5", "-1005"]
    assert isinstance(await telegram.send("-5", HELLO, "2"), Sent)
    assert [call["chat_id"] for call in api.sent()][2:] == ["-1005"]


async def test_a_group_that_moves_in_circles(telegram: Telegram, api: StandIn) -> None:
    api.migrated |= {-5: -6, -6: -5}
    assert word(await telegram.send("-5", HELLO, "1")) == "Retry later:migrated"


@pytest.mark.parametrize(
    ("recipient", "place"),
    [
        ("7", Place(7)),
        ("-100/5", Place(-100, 5)),
        ("-100/5/3", Place(-100, 5, 3)),
        ("7@-100", Place(-100)),
        ("@zhanggui", None),
        ("7/../8", None),
        ("", None),
    ],
)
def test_recipients(recipient: str, place: Place | None) -> None:
    assert Place.parse(recipient) == place


async def test_in_a_group_the_message_that_asked_is_answered(telegram: Telegram, api: StandIn) -> None:
    await telegram.send("-100/5/3", HELLO, "1")
    [call] = api.sent()
    assert (call["chat_id"], call["message_thread_id"]) == ("-100", "3")
    reply = json.loads(call["reply_parameters"])
    assert (reply["message_id"], reply["allow_sending_without_reply"]) == (5, True)


async def test_no_recipient_of_ours(telegram: Telegram, api: StandIn) -> None:
    assert await telegram.send("nobody", HELLO, "1") == Dead("person")
    assert api.calls == []


# ---- text ----


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("<b>粗</b> <a href='https://x.test'>点</a>", id="HTML"),
        pytest.param("*粗* _斜_ [点](https://x.test) `码`", id="Markdown"),
        pytest.param("a]]>b & \\ \u202e", id="others"),
        pytest.param("😀" * 4096, id="4096 code points of two units"),
    ],
)
async def test_text_goes_out_as_it_is(text: str, telegram: Telegram, api: StandIn) -> None:
    assert isinstance(await telegram.send("7", Bubble(text), "1"), Sent)
    [call] = api.sent()
    assert call["text"] == text
    assert "parse_mode" not in call
    assert "entities" not in call


async def test_numbers_can_be_tapped_wherever_they_stand(telegram: Telegram, api: StandIn) -> None:
    text = "👨‍👩‍👧 订单ORD12345 和 ORD6789012，见 https://shop.test/o/ORD12345"
    await telegram.send("7", Bubble(text), "1")
    units = text.encode("utf-16-le")
    entities = json.loads(api.sent()[0]["entities"])
    told = [units[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le") for one in entities]
    assert told == ["ORD12345", "ORD6789012"]
    assert {one["type"] for one in entities} == {"code"}


async def test_buttons_carry_tokens(telegram: Telegram, api: StandIn) -> None:
    choices = [Choice("是", "k-1"), Choice("不是", "k-2"), Choice("我要找人工客服聊一聊", "k-3"), Choice("算了", "k-4")]
    await telegram.send("7", Bubble("要退吗？", choices), "1")
    rows = json.loads(api.sent()[0]["reply_markup"])["inline_keyboard"]
    assert [[(one["text"], one["callback_data"]) for one in row] for row in rows] == [
        [("是", "k-1"), ("不是", "k-2")],
        [("我要找人工客服聊一聊", "k-3")],
        [("算了", "k-4")],
    ]


@pytest.mark.parametrize(("recipient", "leads"), [("-100/5", True), ("7", False)])
async def test_the_way_from_a_group_to_a_conversation_of_ones_own(
    recipient: str, leads: bool, telegram: Telegram, api: StandIn
) -> None:
    await telegram.send(recipient, Bubble("这件事我们私下说", private=True), "1")
    rows = json.loads(api.sent()[0].get("reply_markup", "{}")).get("inline_keyboard", [])
    assert [one["url"] for row in rows for one in row] == (["https://t.me/zhanggui_bot?start=chat"] if leads else [])


# ---- pictures ----

NAME = "0123456789abcdef0123456789abcdef.png"


async def test_a_picture_that_was_drawn_is_brought_along(telegram: Telegram, api: StandIn) -> None:
    settings.pictures_dir().mkdir(exist_ok=True)
    (settings.pictures_dir() / NAME).write_bytes(b"drawn")
    outcome = await telegram.send("7", Bubble("两款水壶", [Choice("看看", "k-1")], NAME), "1")
    assert isinstance(outcome, Sent)
    [call] = api.sent("sendPhoto")
    assert (call["caption"], b"drawn" in call.values()) == ("两款水壶", True)
    assert json.loads(call["reply_markup"])["inline_keyboard"][0][0]["callback_data"] == "k-1"


async def test_a_picture_with_an_address_is_fetched_by_telegram(telegram: Telegram, api: StandIn) -> None:
    await telegram.send("7", Bubble(picture="https://shop.test/kettle.jpg"), "1")
    assert api.sent("sendPhoto")[0]["photo"] == "https://shop.test/kettle.jpg"


@pytest.mark.parametrize("picture", ["f" * 32 + ".png", "../keyring.json", "/pictures/none.png", "file:///etc/passwd"])
async def test_words_go_out_without_a_picture_that_is_not_there(
    picture: str, telegram: Telegram, api: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "9")
    assert isinstance(await telegram.send("7", Bubble("两款水壶", picture=picture), "1"), Sent)
    assert [call["text"] for call in api.sent()] == ["两款水壶"]
    assert await telegram.send("8", Bubble(picture=picture), "2") == Dead("content")


async def test_words_go_out_without_a_picture_that_telegram_refuses(telegram: Telegram, api: StandIn) -> None:
    refused = [
        refusal(400, "Bad Request: wrong type of the web page content"),
        refusal(413, "Request Entity Too Large"),
    ]
    for chat, answer in zip(("7", "8"), refused, strict=True):
        api.scripted["sendPhoto"] = [answer]
        bubble = Bubble("水壶", picture="https://shop.test/kettle.jpg")
        assert isinstance(await telegram.send(chat, bubble, "1"), Sent)
    assert len(api.sent()) == 2


# ---- pace ----


@pytest.mark.parametrize(
    ("chat", "messages", "seconds"),
    [(7, 3, 2.0), (-100, 20, 19.0), (-100, 21, 60.0)],
    ids=["one a second", "also in a group", "twenty a minute in a group"],
)
def test_pace_of_a_chat(chat: int, messages: int, seconds: float) -> None:
    pace, now = Pace(), 0.0
    for _ in range(messages):
        while wait := pace.take(chat, now):
            now += wait
    assert now == pytest.approx(seconds)


def test_pace_of_all_chats() -> None:
    pace = Pace()
    waits = [pace.take(chat, 0.0) for chat in range(1, 32)]
    assert waits == [0.0] * 30 + [1.0]


def test_pace_forgets() -> None:
    pace = Pace()
    for chat in range(1, 12_000):
        pace.take(chat, float(chat))
    assert len(pace._sent) < 10_100


async def test_the_second_message_of_a_second_waits(telegram: Telegram, api: StandIn) -> None:
    began = time.monotonic()
    await telegram.send("7", HELLO, "1")
    await telegram.send("7", HELLO, "2")
    assert len(api.sent()) == 2
    assert time.monotonic() - began >= 1.0


async def test_what_is_on_its_way_arrives_before_it_closes(telegram: Telegram, api: StandIn) -> None:
    """Or it would be cut off, and sent again."""
    answered = api._sendMessage

    async def slow(arguments: dict[str, Any]) -> Any:
        await asyncio.sleep(0.3)
        return answered(arguments)

    api._sendMessage = slow  # type: ignore[method-assign,assignment]
    listening = asyncio.create_task(telegram.listen())
    await api.called("getUpdates")
    sending = asyncio.create_task(telegram.send("7", HELLO, "1"))
    await api.called("sendMessage")
    listening.cancel()
    assert isinstance(await sending, Sent)
    with suppress(asyncio.CancelledError):
        await listening
