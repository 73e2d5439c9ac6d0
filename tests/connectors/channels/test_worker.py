"""Conversations over a channel: each message is answered once, in order, whatever is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from connectors.desk_news import DeskNews
from connectors.inbound import Media
from connectors.messages import BotMessage, Button
from connectors.rendering import Bubble
from connectors.tables import ChoiceList, KeptMedia
from connectors.words import WORDS
from mall_adapter.handoff import HandoffReason
from privacy import current_ring
from privacy.conversations import conversation_of
from storage import WRITES
from storage.inbox import Inbox
from storage.outbox import Outbox, Parked, Retry, State
from tests.connectors.fake_rasa import FakeRasa

from .paper import PLAIN, House, Paper, house, said

RECEIPTS = WORDS.receipts
BUTTONS = [{"title": "退货", "payload": "/request_return"}, {"title": "换货", "payload": "/request_exchange"}]


class Open(Protocol):
    def __call__(self, channel: Paper | None = None, **options: object) -> AbstractAsyncContextManager[House]: ...


@pytest.fixture
async def open_house(engine: AsyncEngine, rasa: FakeRasa, tmp_path: Path) -> AsyncIterator[Open]:
    def start(channel: Paper | None = None, **options: object) -> AbstractAsyncContextManager[House]:
        return house(engine, rasa.url, tmp_path, channel, **options)  # type: ignore[arg-type]

    yield start


async def test_the_migration_makes_what_the_models_say(engine: AsyncEngine) -> None:
    tables = Inbox.metadata

    def differences(connection: Connection) -> list[object]:
        def ours(name: str | None, kind: str, _: object) -> bool:
            return kind != "table" or name in tables.tables

        options = {"compare_type": True, "include_name": ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables))

    assert {ChoiceList.__tablename__, KeptMedia.__tablename__, Outbox.__tablename__} < set(tables.tables)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_message_is_answered_once_however_often_it_comes(open_house: Open, rasa: FakeRasa) -> None:
    async with open_house() as shop:
        assert [bubble.text for bubble in await shop.say("ann", "m1", "我想退货")] == ["收到：我想退货"]
        assert not await shop.receive("ann", "m1", "我想退货")
        assert shop.channel.typed == ["ann"]
        assert [bubble.text for bubble in await shop.say("bob", "m1", "在吗")] == ["收到：在吗"]  # his own m1
        await shop.say("ann", "m2", "谢谢")
    assert shop.channel.texts("ann") == ["收到：我想退货", "收到：谢谢"]
    assert [(call.sender, call.message_id) for call in rasa.calls] == [
        ("paper:ann", "m1"),
        ("paper:bob", "m1"),
        ("paper:ann", "m2"),
    ]


async def test_messages_of_a_sender_keep_their_order_and_hold_up_nobody_else(open_house: Open, rasa: FakeRasa) -> None:
    async with open_house() as shop:
        rasa.gate.clear()
        for number in range(6):
            await shop.receive("ann", f"m{number}", f"{number}")
        await shop.receive("bob", "m0", "我有急事")
        await rasa.arrival()
        await rasa.arrival()
        assert sorted(rasa.texts()) == ["0", "我有急事"]
        rasa.gate.set()
        assert await shop.channel.until("ann", 6) == [f"收到：{number}" for number in range(6)]
        await shop.channel.until("bob", 1)
    assert not rasa.overtaken


async def test_one_bubble_that_waits_for_its_next_try_holds_back_the_next(open_house: Open) -> None:
    channel = Paper(outcomes=[Retry("later:429", datetime.now(UTC) + timedelta(seconds=1))])
    async with open_house(channel) as shop:
        await shop.receive("ann", "m1", "一")
        await shop.receive("ann", "m2", "二")
        assert await channel.until("ann", 2) == ["收到：一", "收到：二"]
    assert len(channel.tries) == 3


# ---- the bot is away ----


async def test_a_bot_that_is_away_is_waited_for_and_the_customer_hears_so_once(
    open_house: Open, rasa: FakeRasa
) -> None:
    async with open_house(patience=0.2) as shop:
        rasa.failures[:] = [500]
        await shop.receive("ann", "m1", "我想退货")
        await shop.receive("ann", "m2", "快一点")
        assert await shop.channel.until("ann", 3) == [RECEIPTS.moment, "收到：我想退货", "收到：快一点"]
    assert rasa.texts() == ["我想退货", "快一点"]


async def test_after_a_while_the_customer_is_asked_to_send_it_again(
    open_house: Open, rasa: FakeRasa, engine: AsyncEngine
) -> None:
    async with open_house(patience=0.2, given_up=timedelta(seconds=0.5)) as shop:
        rasa.failures[:] = [500]
        assert [bubble.text for bubble in await shop.say("ann", "m1", "我想退货")] == [RECEIPTS.again]
        async with AsyncSession(engine) as session:
            assert list(await session.execute(select(Inbox.state, Inbox.error_class))) == [
                (State.DEAD, "BotUnavailable")
            ]
        assert [bubble.text for bubble in await shop.say("ann", "m2", "我想退货")] == ["收到：我想退货"]


async def test_a_silent_bot_leaves_nothing_to_send(open_house: Open, rasa: FakeRasa) -> None:
    rasa.answers["在吗"] = []  # a person talks
    async with open_house() as shop:
        await shop.receive("ann", "m1", "在吗")
        await shop.say("ann", "m2", "您好")
    assert shop.channel.texts("ann") == ["收到：您好"]


# ---- buttons ----


async def test_the_second_means_the_second_of_the_list_that_was_shown(open_house: Open, rasa: FakeRasa) -> None:
    rasa.answers["售后"] = [{"text": "要办哪一种？", "buttons": BUTTONS}]
    async with open_house() as shop:
        (shown,) = await shop.say("ann", "m1", "售后")
        assert shown == Bubble(f"要办哪一种？\n1. 退货\n2. 换货\n{WORDS.choices.numbered}", [])
        said_to_the_bot = {}
        for number, text in enumerate(("2", "第二个", "２。", "选2", "最后一个", "一", "换货", "2件", "3", "第二天到")):
            await shop.say("ann", f"c{number}", text)
            said_to_the_bot[text] = rasa.calls[-1].text
            await shop.say("ann", f"l{number}", "售后")  # it is shown again
        await shop.say("bob", "m1", "2")
        assert rasa.calls[-1].text == "2"  # he was shown nothing
        await shop.say("ann", "m2", "谢谢")
        await shop.say("ann", "m3", "2")
        assert rasa.calls[-1].text == "2"  # the last answer has no list
    exchanged, returned = BUTTONS[1]["payload"], BUTTONS[0]["payload"]
    second = dict.fromkeys(("2", "第二个", "２。", "选2", "最后一个"), exchanged)
    words = {text: text for text in ("换货", "2件", "3", "第二天到")}
    assert said_to_the_bot == second | {"一": returned} | words


async def test_a_button_is_good_for_the_customer_to_whom_it_was_shown(
    open_house: Open, rasa: FakeRasa, engine: AsyncEngine
) -> None:
    rasa.answers["售后"] = [{"text": "要办哪一种？", "buttons": BUTTONS}]
    buttons = Paper(capabilities=replace(PLAIN, buttons=8, button_title_most=20))
    async with open_house(buttons) as shop:
        (shown,) = await shop.say("ann", "m1", "售后")
        first, second = (choice.token for choice in shown.buttons)
        assert len(first) <= 32
        assert shown.text == "要办哪一种？"
        await shop.say("ann", "m2", "谢谢")
        await shop.say("ann", "m3", choice=second)  # an older answer's, too
        assert rasa.calls[-1].text == "/request_exchange"
        before = len(rasa.calls)
        strange = [("bob", second), ("ann", f"{first[:-1]}9"), ("ann", "A" * 16 + "-1"), ("ann", "退货")]
        for number, (account, token) in enumerate(strange):
            (refused,) = await shop.say(account, f"x{number}", choice=token)
            assert refused.text == RECEIPTS.expired
        async with engine.execution_options(**WRITES).begin() as connection:
            await connection.execute(update(ChoiceList).values(expires_at=datetime.now(UTC)))
        (refused,) = await shop.say("ann", "m4", choice=first)
        assert refused.text == RECEIPTS.expired
        assert len(rasa.calls) == before


# ---- what is no text ----


@pytest.mark.parametrize("kind", ["picture", "voice", "video", "file", "sticker", "location", "contact"])
async def test_what_the_bot_cannot_read_is_kept_and_answered_warmly(
    open_house: Open, rasa: FakeRasa, kind: str
) -> None:
    media = Media(kind=kind, handle="h1", name="裂了.jpg", latitude=31.2, longitude=121.5)  # type: ignore[arg-type]
    async with open_house(Paper(contents={"h1": b"\xff\xd8\xff..."})) as shop:
        (bubble,) = await shop.say("ann", "m1", media=[media])
        assert bubble.text == RECEIPTS.media[media.kind]
        conversation = conversation_of(current_ring(), "paper:ann")
        (kept,) = await shop.media.of_conversation(conversation)
        assert (kept.kind, kept.name, kept.place) == (kind, "裂了.jpg", (31.2, 121.5))
        assert kept.has_content == (kind in ("picture", "voice", "video", "file"))
        if kept.has_content:
            opened = await shop.media.open(conversation, kept.id)
            assert opened is not None
            assert opened[1] == b"\xff\xd8\xff..."
    assert rasa.calls == []


async def test_a_caption_is_said_to_the_bot_and_what_voice_recognition_heard_too(
    open_house: Open, rasa: FakeRasa
) -> None:
    async with open_house(Paper(contents={"h1": b"\xff\xd8\xff..."})) as shop:
        (bubble,) = await shop.say("ann", "m1", "收到时就裂了", media=[Media(kind="picture", handle="h1")])
        assert bubble.text == "收到：收到时就裂了"
        (bubble,) = await shop.say("ann", "m2", "我要退货", media=[Media(kind="voice", handle="gone")])
        assert bubble.text == "收到：我要退货"
    assert rasa.texts() == ["收到时就裂了", "我要退货"]


async def test_what_cannot_be_had_is_said(open_house: Open) -> None:
    too_large = bytes(10 * 1024 * 1024 + 1)
    async with open_house(Paper(contents={"large": too_large})) as shop:
        for number, handle in enumerate(("gone", "large")):
            (bubble,) = await shop.say("ann", f"m{number}", media=[Media(kind="picture", handle=handle)])
            assert bubble.text == RECEIPTS.unkept


@pytest.mark.parametrize(
    ("text", "said_to_the_bot", "receipt"),
    [
        ("", None, None),
        ("\u200b\u3164 \u0008", None, None),
        ("退\u0008货\ud800", "退货\ufffd", None),
        ("退" * 2001, None, RECEIPTS.too_long),
        ("退" * 2000, "退" * 2000, None),
    ],
    ids=["nothing", "nothing to be seen", "odd characters", "too long", "long"],
)
async def test_odd_texts(
    open_house: Open, rasa: FakeRasa, text: str, said_to_the_bot: str | None, receipt: str | None
) -> None:
    async with open_house() as shop:
        await shop.receive("ann", "m1", text)
        await shop.receive("ann", "m2", "在吗")
        while "收到：在吗" not in await shop.channel.until("ann", len(shop.channel.texts("ann")) + 1):
            pass
    assert rasa.texts() == [text for text in (said_to_the_bot, "在吗") if text is not None]
    assert (receipt in shop.channel.texts("ann")) == (receipt is not None)


async def test_who_joins_is_welcomed(open_house: Open, rasa: FakeRasa) -> None:
    async with open_house() as shop:
        assert [bubble.text for bubble in await shop.say("ann", "m1", event="joined")] == [RECEIPTS.welcome]
        await shop.receive("ann", "m2", event="left")
        await shop.say("ann", "m3", "在吗")
    assert rasa.texts() == ["在吗"]
    assert len(shop.channel.texts("ann")) == 2


# ---- answers that the channel carries itself ----


async def there() -> bool:
    """The channel has not hung up."""
    return False


async def test_a_channel_takes_the_answer_and_gets_the_same_again(
    open_house: Open, rasa: FakeRasa, engine: AsyncEngine
) -> None:
    async with open_house() as shop:
        until = datetime.now(UTC) + timedelta(seconds=60)
        message = said("ann", "m1", "在吗", reply_until=until)
        assert await shop.worker.receive(message)
        assert await shop.worker.answer(message, 5, there) == [Bubble("收到：在吗", [])]
        assert not await shop.worker.receive(message)  # it was cut off, and comes again
        assert await shop.worker.answer(message, 5, there) == [Bubble("收到：在吗", [])]
        async with AsyncSession(engine) as session:
            assert await session.scalar(select(Outbox.not_before)) == until  # nobody else sends it meanwhile
        rasa.gate.clear()
        slow = said("ann", "m2", "慢慢想", reply_until=datetime.now(UTC) + timedelta(seconds=1))
        await shop.worker.receive(slow)
        assert await shop.worker.answer(slow, 0.1, there) is None
        rasa.gate.set()
        assert await shop.channel.until("ann", 1) == ["收到：慢慢想"]  # in another way, and m1 not again


async def parked(engine: AsyncEngine) -> None:
    """Until a message waits for its person to write."""
    async with asyncio.timeout(30), AsyncSession(engine) as session:
        while not await session.scalar(select(Outbox.id).where(Outbox.state == State.PARKED)):
            await session.rollback()
            await asyncio.sleep(0.02)


async def test_an_answer_that_could_not_be_sent_is_sent_when_they_write_again(
    open_house: Open, engine: AsyncEngine
) -> None:
    channel = Paper(outcomes=[Parked("window")])
    async with open_house(channel) as shop:
        await shop.receive("ann", "m1", "一")
        await parked(engine)
        await shop.receive("ann", "m2", "二")
        assert await channel.until("ann", 2) == ["收到：一", "收到：二"]


async def test_an_answer_that_could_not_be_sent_comes_with_the_next_message(
    open_house: Open, engine: AsyncEngine
) -> None:
    channel = Paper(outcomes=[Parked("window")])
    async with open_house(channel) as shop:
        await shop.receive("ann", "m1", "一")
        await parked(engine)
        message = said("ann", "m2", "二", reply_until=datetime.now(UTC) + timedelta(seconds=60))
        await shop.worker.receive(message)
        assert await shop.worker.answer(message, 5, there) == [Bubble("收到：一", []), Bubble("收到：二", [])]
    assert channel.texts("ann") == []


async def test_what_the_desk_says_goes_out_by_the_channel(open_house: Open, rasa: FakeRasa) -> None:
    async with open_house() as shop:
        news = DeskNews(shop.desk, shop.bot, shop.worker.onward, shop.delivery.soon)
        handoff = await shop.desk.request("paper:ann", HandoffReason.ASKED, "k1")
        operator = await shop.desk.operator("小周", "dashboard")
        await shop.desk.claim(operator, handoff.id)
        await shop.desk.say(operator, handoff.id, "我来帮您看看", "s1")
        await news.send_soon("paper:ann")
        assert await shop.channel.until("ann", 2) == ["pause 小周", "said 我来帮您看看"]
        # what bot and customer say meanwhile is heard by the person
        await shop.receive("ann", "m1", media=[Media(kind="picture", handle="gone")])
        assert await shop.channel.until("ann", 3) == [*shop.channel.texts("ann")[:2], "收到：【图片】"]


async def test_a_button_of_what_the_desk_says_means_what_it_says(
    open_house: Open, engine: AsyncEngine, rasa: FakeRasa
) -> None:
    star = Button(title="五星", payload='/rate_service{"stars": "5"}')
    spoken = [
        BotMessage(text="我来帮您看看", custom={"by": "operator"}),
        BotMessage(text="帮到您了吗", custom={"by": "desk"}, buttons=[star]),
    ]
    async with open_house() as shop:
        async with AsyncSession(engine.execution_options(**WRITES)) as session, session.begin():
            await shop.worker.onward(session, "paper:ann", "d", spoken)
            await shop.worker.onward(session, "web:ann", "d", spoken)  # they come for it
        assert await shop.channel.until("ann", 2) == ["人工客服：我来帮您看看", "帮到您了吗\n1. 五星\n回复数字就能选。"]
        await shop.receive("ann", "m1", "1")
        assert (await shop.channel.until("ann", 3))[-1] == f"收到：{star.payload}"


async def test_who_writes_on_at_once_is_asked_for_each_message_once(
    open_house: Open, engine: AsyncEngine, rasa: FakeRasa
) -> None:
    """Nothing is left in the inbox for a worker to ask the bot again."""
    async with open_house() as shop:
        for number in range(20):
            await shop.worker.turn(replace(said("ann", f"m{number}", str(number)), channel="web"))
        await asyncio.wait(shop.worker._tasks)  # they are settled behind their answers
    async with AsyncSession(engine) as session:
        rows = [(row.state, row.attempts) for row in await session.scalars(select(Inbox))]
    assert rows == [(State.DONE, 1)] * 20
    assert len(rasa.calls) == 20
