"""Whole conversations: from the stand-in of Telegram through inbox, worker and a stand-in of the bot to the outbox, and
back."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import settings
from connectors.bot_client import BotClient
from connectors.channel import Channel, Shared
from connectors.delivery import Delivery
from connectors.media import MediaStore
from connectors.telegram import channel
from connectors.worker import Worker
from mall_adapter import Desk
from privacy import KeyRing
from storage import create_engine
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.telegram.stand_in import GROUP, PERSON, TOKEN, Answer, StandIn, message, until

Rows = list[list[dict[str, Any]]]


class Customer:
    """阿花, with her telephone."""

    def __init__(self, api: StandIn) -> None:
        self._api = api
        self._numbers = 100
        self._seen = 0

    def writes(self, text: str, **more: Any) -> int:
        self._numbers += 1
        return self._api.say(text, message_id=self._numbers, **more)

    def taps(self, title: str, user: int = 7) -> None:
        """The newest button of this title."""
        shown = [one for call in self._api.sent() for row in _rows(call) for one in row if one["text"] == title]
        self._numbers += 1
        below = message(message_id=1, **{"from": {"id": 42, "is_bot": True, "first_name": "掌柜"}})
        whose = PERSON | {"id": user}
        below["chat"] = below["chat"] | {"id": user}
        tap = {"id": str(self._numbers), "from": whose, "chat_instance": "1", "message": below}
        self._api.add(callback_query=tap | {"data": shown[-1]["callback_data"]})

    async def reads(self, messages: int = 1) -> list[str]:
        """The next ones."""
        calls = await self._api.called("sendMessage", self._seen + messages)
        self._seen += messages
        return [call["text"] for call in calls[self._seen - messages : self._seen]]


def _rows(call: dict[str, Any]) -> Rows:
    rows: Rows = json.loads(call.get("reply_markup", "{}")).get("inline_keyboard", [])
    return rows


class House:
    """As much of a gateway as a channel needs. It can be killed, and another one goes on."""

    def __init__(self, address: str, rasa: FakeRasa, folder: Path) -> None:
        self.engine = create_engine(address)
        self.http = httpx.AsyncClient(trust_env=False)
        on: dict[str, Channel] = {}
        desk = Desk(self.engine, (time(9), time(21)))
        delivery = Delivery(self.engine, on)
        self.bot = bot = BotClient((rasa.url,), patience=2.0)
        media = MediaStore(self.engine, folder)
        lease = timedelta(seconds=2)
        self.worker = Worker(self.engine, bot, desk, media, on, (), delivery.soon, lease=lease)
        ring = KeyRing.load(settings.keyring_file())
        shared = Shared(
            engine=self.engine, ring=ring, http=self.http, public_url="http://127.0.0.1:8000", answer=self.worker.answer
        )
        telegram = channel(self.worker.receive, shared)
        assert telegram is not None
        on["telegram"] = telegram
        self._work = [telegram.listen, self.worker.keep_working, delivery.keep_sending]

    async def start(self) -> None:
        self._running = [asyncio.create_task(work()) for work in self._work]

    async def stop(self) -> None:
        """As a kill: what is in the middle of something does not end it."""
        running = [*self.worker._tasks, *self._running]
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError):
                await task
        await self.bot.aclose()
        await self.http.aclose()
        await self.engine.dispose()


@pytest.fixture
def database(migrated: str, tmp_path: Path) -> str:
    """One in which nobody has said anything yet."""
    copied = tmp_path / "house.db"
    shutil.copy(migrated.partition("///")[2], copied)
    return f"sqlite+aiosqlite:///{copied}"


@pytest.fixture
async def shop(
    database: str, api: StandIn, rasa: FakeRasa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    house = House(database, rasa, tmp_path / "media")
    await house.start()
    yield house
    await house.stop()


@pytest.fixture
def customer(shop: House, api: StandIn) -> Customer:
    return Customer(api)


def test_without_a_token_it_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELEGRAM_BOT_TOKEN", raising=False)
    assert channel(None, None) is None  # type: ignore[arg-type]


async def test_a_conversation_with_buttons(customer: Customer, rasa: FakeRasa, api: StandIn) -> None:
    yes, no = {"title": "确认", "payload": "/affirm"}, {"title": "算了", "payload": "/stop"}
    rasa.answers |= {
        "我要退货": [{"text": "退 ORD12345 的杯子，对吗？", "buttons": [yes, no]}],
        "/affirm": [{"text": "好的，已经提交。"}, {"text": "一两天内有人来取。"}],
    }
    customer.writes("/refund", entities=[{"type": "bot_command", "offset": 0, "length": 7}])
    assert await customer.reads() == ["退 ORD12345 的杯子，对吗？"]
    customer.taps("确认")
    assert await customer.reads(2) == ["好的，已经提交。", "一两天内有人来取。"]
    assert rasa.texts() == ["我要退货", "/affirm"]
    await api.called("answerCallbackQuery")


async def test_a_button_means_nothing_in_anybody_elses_hands(customer: Customer, rasa: FakeRasa) -> None:
    rasa.answers["我的优惠券"] = [{"text": "用哪张？", "buttons": [{"title": "满减券", "payload": "/inform{}"}]}]
    customer.writes("我的优惠券")
    await customer.reads()
    customer.taps("满减券", user=8)
    [told] = await customer.reads()
    assert "过期" in told
    assert "/inform{}" not in rasa.texts()


async def test_who_comes_by_a_link_is_welcomed_once(customer: Customer, rasa: FakeRasa, api: StandIn) -> None:
    start: dict[str, Any] = {"entities": [{"type": "bot_command", "offset": 0, "length": 6}]}
    customer.writes("/start card_8", **start)
    [welcome] = await customer.reads()
    assert "掌柜" in welcome
    api.say("/start card_8", message_id=101, **start)  # Telegram brings it once more
    customer.writes("你好")
    assert await customer.reads() == ["收到：你好"]


async def test_a_picture_is_kept_and_confirmed(customer: Customer, api: StandIn, tmp_path: Path) -> None:
    api.files["p1"] = b"\x89PNG\r\n\x1a\n of a broken cup"
    size = {"file_id": "p1", "file_unique_id": "p1", "width": 1, "height": 1}
    api.add(message=message(message_id=9, photo=[size]))
    [told] = await customer.reads()
    assert "图片收到" in told
    [file] = [path for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert b"cup" not in file.read_bytes()


async def test_a_group_is_answered_below_the_question(customer: Customer, rasa: FakeRasa, api: StandIn) -> None:
    mention = [{"type": "mention", "offset": 0, "length": 13}]
    customer.writes("@zhanggui_bot 水壶多少钱", chat=GROUP, entities=mention)
    assert await customer.reads() == ["收到：水壶多少钱"]
    [call] = api.sent()
    assert (call["chat_id"], json.loads(call["reply_parameters"])["message_id"]) == ("-100", 101)
    assert rasa.calls[-1].sender == "telegram:7@-100"


async def test_a_lost_answer_is_sent_again_once(customer: Customer, api: StandIn) -> None:
    api.scripted["sendMessage"] = [Answer(200, "", cut=True)]
    customer.writes("你好")
    assert await customer.reads(2) == ["收到：你好", "收到：你好"]
    customer.writes("在吗")
    assert await customer.reads() == ["收到：在吗"]


async def test_who_has_blocked_it_holds_up_nobody(customer: Customer, api: StandIn) -> None:
    api.blocked.add(8)
    customer.writes("你好", chat={"id": 8, "type": "private"}, **{"from": PERSON | {"id": 8}})
    customer.writes("在吗")
    texts = {call["chat_id"]: call["text"] for call in await api.called("sendMessage", 2)}
    assert texts == {"8": "收到：你好", "7": "收到：在吗"}


async def test_a_house_that_stops_in_the_middle_of_a_turn(
    database: str, api: StandIn, rasa: FakeRasa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    first = House(database, rasa, tmp_path / "media")
    rasa.gate.clear()
    await first.start()
    number = Customer(api).writes("你好")
    await rasa.arrival()
    await api.acknowledged(number)
    await first.stop()
    rasa.gate.set()
    second = House(database, rasa, tmp_path / "media")
    await second.start()
    [call] = await api.called("sendMessage", seconds=20)
    assert call["text"] == "收到：你好"
    await until(lambda: not api.updates)
    await second.stop()
    assert len(api.sent()) == 1
    assert rasa.texts() == ["你好"]
