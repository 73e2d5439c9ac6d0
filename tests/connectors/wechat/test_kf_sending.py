"""Answers to customer service: each once, in the numbers that are granted, by whoever has the conversation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

import settings
from connectors.channel import Gone, MediaUnavailable, Shared
from connectors.inbound import Inbound, Media
from connectors.rendering import Bubble, Choice
from connectors.wechat import kf
from connectors.wechat.kf.callback import PATH
from connectors.wechat.kf.errors import ERRORS
from connectors.wechat.kf.messages import account
from connectors.wechat.kf.sending import WeChatKf
from connectors.wechat.kf.welcomes import Welcomes
from connectors.wechat.windows import Windows
from connectors.words import WORDS
from privacy import current_ring
from storage import migrate, outbox
from storage.outbox import Dead, Parked, Retry, Sent, State, Unknown
from tests.connectors.channels.paper import house as open_house
from tests.connectors.conftest import free_port
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.wechat import wecom
from tests.connectors.wechat.shop import until
from tests.connectors.wechat.wecom import SETTINGS, SHOP, Conversation, WeCom
from tests.databases import Sqlite, served_by

LI = account(SHOP, "wmLi")
HELLO = Bubble("您好，有什么可以帮您？")
TAPS = Bubble("办哪个？", [Choice("退货退款", "AbCdEfGh12345678-1"), Choice("换货", "AbCdEfGh12345678-2")])


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sqlite]:
    """One is enough: what is kept here has tests of its own."""
    with served_by("sqlite", tmp_path_factory) as databases:
        assert isinstance(databases, Sqlite)
        yield databases


@pytest.fixture(scope="module")
def migrated(databases: Sqlite, house: Path) -> str:
    address = databases.create()
    asyncio.run(migrate(address))
    return address


@pytest.fixture(scope="module")
def wecom_server() -> Iterator[WeCom]:
    with wecom.serve(free_port()) as server:
        yield server


@pytest.fixture
def service(wecom_server: WeCom, monkeypatch: pytest.MonkeyPatch) -> WeCom:
    wecom_server.__init__(wecom_server.url)  # type: ignore[misc]
    for name, value in (SETTINGS | {"WECOM_API_BASE": wecom_server.url}).items():
        monkeypatch.setenv(name, value)
    return wecom_server


def opened(engine: AsyncEngine, http: httpx.AsyncClient, received: list[Inbound]) -> WeChatKf:
    async def receive(inbound: Inbound) -> bool:
        received.append(inbound)
        return True

    async def answer(_: Inbound, __: float, ___: Gone) -> None:
        raise AssertionError("nothing is answered in the request")

    shared = Shared(engine=engine, ring=current_ring(), http=http, public_url="https://shop.example", answer=answer)
    made = kf.channel(receive, shared)
    assert isinstance(made, WeChatKf)
    return made


@pytest.fixture
async def channel(engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom) -> AsyncIterator[WeChatKf]:
    """Li has just written."""
    service.writes("wmLi", "在吗")
    await Windows(engine).open(LI, "message", datetime.now(UTC))
    yield opened(engine, http, [])


async def test_a_text_arrives_under_its_key(channel: WeChatKf, service: WeCom) -> None:
    assert await channel.send(LI, HELLO, "7") == Sent()
    [sent] = service.sent
    assert (sent["touser"], sent["open_kfid"], sent["msgid"]) == ("wmLi", SHOP, "7-0")
    assert sent["text"] == {"content": HELLO.text}


async def test_what_may_have_arrived_is_sent_again_and_comes_once(channel: WeChatKf, service: WeCom) -> None:
    service.faults = ["cut"]
    assert await channel.send(LI, HELLO, "7") == Unknown("status_504")
    assert await channel.send(LI, HELLO, "7") == Sent()
    assert service.texts("wmLi") == [HELLO.text]


async def test_what_was_sent_in_part_goes_on_where_it_stood(channel: WeChatKf, service: WeCom) -> None:
    long = Bubble("好的。" * 400)
    service.faults = [0, -1]
    service.faults[0] = None
    assert isinstance(await channel.send(LI, long, "7"), Retry)
    assert await channel.send(LI, long, "7") == Sent()
    assert "".join(service.texts("wmLi")) == long.text


async def test_choices_are_lines_to_tap(channel: WeChatKf, service: WeCom) -> None:
    await channel.send(LI, TAPS, "7")
    [sent] = service.sent
    assert sent["msgmenu"]["head_content"] == "办哪个？"
    assert sent["msgmenu"]["list"][1] == {"type": "click", "click": {"id": "AbCdEfGh12345678-2", "content": "换货"}}


async def test_a_drawn_picture_is_shown_below_its_words(channel: WeChatKf, service: WeCom) -> None:
    name = "0123456789abcdef" * 2 + ".png"
    settings.pictures_dir().mkdir(exist_ok=True, parents=True)
    (settings.pictures_dir() / name).write_bytes(b"\x89PNG drawn")
    assert await channel.send(LI, Bubble("比一比", picture=name), "7") == Sent()
    assert [each["msgtype"] for each in service.sent] == ["text", "image"]
    assert b"\x89PNG drawn" in service.media["media-0"]


@pytest.mark.parametrize("state", [0, 1, 2])
async def test_a_conversation_that_can_be_had_is_taken_over(channel: WeChatKf, service: WeCom, state: int) -> None:
    service.conversations[SHOP, "wmLi"].state = state
    if state == 2:  # of those who wait for a colleague
        assert await channel.send(LI, HELLO, "7") == Sent()
        assert service.conversations[SHOP, "wmLi"].state == 1
    else:
        assert await channel.send(LI, HELLO, "7") == Sent()


@pytest.mark.parametrize("state", [3, 4])
async def test_what_a_colleague_has_or_has_ended_waits(channel: WeChatKf, service: WeCom, state: int) -> None:
    service.conversations[SHOP, "wmLi"].state = state
    assert await channel.send(LI, HELLO, "7") == Parked("window:95016")
    assert service.sent == []


async def test_five_are_granted(channel: WeChatKf, service: WeCom) -> None:
    ended = [await channel.send(LI, HELLO, str(number)) for number in range(6)]
    assert ended == [Sent()] * 5 + [Parked("window:used")]


@pytest.mark.parametrize(
    ("fault", "ended"),
    [
        (95001, Parked("window:95001")),
        (95002, Parked("window:95002")),
        (84061, Dead("person:84061")),
        (45002, Dead("content:45002")),
        (-1, "later:-1"),
        (45009, "later:45009"),
        (99999, "later:99999"),
        (60020, "configuration:60020"),
    ],
)
async def test_each_refusal_has_its_end(channel: WeChatKf, service: WeCom, fault: int, ended: Any) -> None:
    service.faults = [fault]
    found = await channel.send(LI, HELLO, "7")
    if isinstance(ended, str):
        assert isinstance(found, Retry) and found.error_class == ended
        assert bool(await channel.check()) == ended.startswith("configuration")
        assert await channel.send(LI, HELLO, "7") == Sent() and await channel.check() == []
    else:
        assert found == ended


async def test_every_known_code_leads_to_one_end() -> None:
    named = [*ERRORS.person, *ERRORS.window, *ERRORS.later, *ERRORS.configuration, *ERRORS.content, *ERRORS.state]
    assert len(named) == len(set(named))


async def test_a_recipient_that_is_none_is_nobody(channel: WeChatKf) -> None:
    assert await channel.send("wmLi", HELLO, "7") == Dead("person:no_account")


async def test_what_a_customer_has_sent_is_fetched(channel: WeChatKf, service: WeCom) -> None:
    service.media["m"] = b"\xff\xd8\xff photo"
    assert await channel.fetch(Media(kind="picture", handle="m")) == b"\xff\xd8\xff photo"
    with pytest.raises(MediaUnavailable):
        await channel.fetch(Media(kind="picture", handle="gone"))


async def test_a_greeting_goes_by_its_code_once(engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom) -> None:
    """Also when nobody knows whether it arrived; then, and before they write, nothing else goes out."""
    channel, person = opened(engine, http, []), account(SHOP, "wmSun")
    code, now = service.enters("wmSun"), datetime.now(UTC)
    assert code
    await Welcomes(engine).keep(person, code, now + timedelta(seconds=20), now)
    service.faults = [-1, "cut"]
    assert isinstance(await channel.send(person, HELLO, "8"), Retry)
    assert await channel.send(person, HELLO, "8") == Unknown("status_504")
    assert await channel.send(person, HELLO, "8") == Parked("window:used")
    [sent] = service.sent
    assert (sent["code"], sent["msgid"], sent["text"]["content"]) == (code, "8-0", HELLO.text)
    assert service.enters("wmSun") is None


async def test_a_code_that_is_over_costs_nothing(channel: WeChatKf, service: WeCom, engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    await Welcomes(engine).keep(LI, "of-yesterday", now + timedelta(seconds=20), now)
    assert await channel.send(LI, TAPS, "7") == Sent()
    [sent] = service.sent
    assert "code" not in sent and sent["msgtype"] == "msgmenu"


async def test_a_link_into_the_chat_brings_its_scene_along(channel: WeChatKf, service: WeCom) -> None:
    scene = "A" * 64
    for _ in range(2):
        link = await channel.invite(scene)
        assert link == f"https://work.weixin.qq.com/kf/kfc1?enc_scene=ENChouse&scene_param={scene}"
    assert service.links == ["house"]


async def test_without_an_answer_of_wecom_nobody_is_invited(
    engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wecom, "SECRET", "another")
    assert await opened(engine, http, []).invite("card-7") is None


async def test_without_credentials_it_is_off_and_with_half_of_them_it_says_so(
    engine: AsyncEngine, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    assert settings.wecom_credentials() is None
    monkeypatch.setenv("WECOM_CORP_ID", "ww0")
    with pytest.raises(ValueError, match="WECOM_KF_SECRET"):
        settings.wecom_credentials()


async def test_a_conversation_from_the_bell_to_the_answer(
    engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom, rasa: FakeRasa, tmp_path: Path
) -> None:
    received: list[Inbound] = []
    channel = opened(engine, http, received)
    async with open_house(engine, rasa.url, tmp_path, channel) as shop:  # type: ignore[arg-type]
        channel._reading._receive = shop.worker.receive
        reading = asyncio.create_task(channel.listen())
        service.writes("wmZhang", "我想退货")
        await until(lambda: service.texts("wmZhang") == ["收到：我想退货"])
        reading.cancel()
    assert rasa.calls[-1].sender == f"wechat_kf:{SHOP}.wmZhang"
    assert service.conversations[SHOP, "wmZhang"] == Conversation(0, 4, service.conversations[SHOP, "wmZhang"].until)


async def test_whoever_comes_in_is_greeted_and_what_did_not_arrive_waits(
    engine: AsyncEngine, http: httpx.AsyncClient, service: WeCom, rasa: FakeRasa, tmp_path: Path
) -> None:
    """What WeCom could not bring goes out again under another name when the person writes, or is shown to operators."""
    channel = opened(engine, http, [])
    async with open_house(engine, rasa.url, tmp_path, channel) as shop:  # type: ignore[arg-type]
        channel._reading._receive = shop.worker.receive
        reading = asyncio.create_task(channel.listen())
        service.enters("wmQian")
        await ring(channel, service)
        await until(lambda: service.texts("wmQian") == [WORDS.receipts.welcome])
        service.writes("wmQian", "一")
        await ring(channel, service)
        await until(lambda: service.texts("wmQian")[1:] == ["收到：一"])
        lost = service.sent[-1]
        await until(lambda: stands(engine, lost, State.SENT))
        for _ in range(2):  # told twice, it counts once
            service.fails(lost, 6)
        await ring(channel, service)
        await until(lambda: stands(engine, None, State.PARKED, "window:failed_6"))
        service.writes("wmQian", "二", at=time.time() + 1)  # WeCom counts in seconds
        await ring(channel, service)
        await until(lambda: sorted(service.texts("wmQian")[2:]) == ["收到：一", "收到：二"])
        refused = service.sent[-1]
        await until(lambda: stands(engine, refused, State.SENT))
        service.fails(refused, 10)
        await ring(channel, service)
        await until(lambda: stands(engine, None, State.DEAD, "person:failed_10"))
        reading.cancel()
    assert len({each["msgid"] for each in service.sent}) == 4


async def ring(channel: WeChatKf, service: WeCom) -> None:
    app, router, (query, body) = FastAPI(), channel.router(), service.rings()
    assert router is not None
    app.include_router(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://shop.test") as door:
        assert (await door.post(PATH, params=query, content=body)).text == "success"


async def stands(engine: AsyncEngine, message: dict[str, Any] | None, state: State, error: str | None = None) -> bool:
    """Whether what was sent, or the last of all, is in this state."""
    row = outbox.Outbox
    query = select(row.state, row.error_class).order_by(row.id.desc()).limit(1)
    if message is not None:
        query = query.where(row.id == int(message["msgid"].partition("-")[0]))
    async with AsyncSession(engine) as session:
        found = (await session.execute(query)).one()
    return found.state is state and error in (None, found.error_class)
