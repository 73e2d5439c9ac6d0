"""Bubbles against a WeChat that refuses: what arrives, how it ends, and what an operator is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.channel import MediaUnavailable
from connectors.inbound import Media
from connectors.rendering import Bubble, Choice
from connectors.wechat.errors import ERRORS
from settings import SHANGHAI
from storage import migrate
from storage.outbox import Dead, Parked, Retry, Sent, Unknown
from tests.connectors.wechat.house import HELLO, LI, House, house_of_li
from tests.connectors.wechat.stand_in import SECRET, StandIn
from tests.databases import Sqlite, served_by

__all__ = ["house_of_li"]

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


async def test_a_text_arrives_as_it_is(house_of_li: House, wechat: StandIn) -> None:
    said = '双"引号"、\\u4f60、<b>&amp;</b>、👨‍👩‍👧‍👦'
    assert await house_of_li.sends(LI, Bubble(said)) == Sent()
    assert wechat.texts(LI) == [said]


async def test_chinese_goes_out_as_it_is(house_of_li: House, wechat: StandIn) -> None:
    await house_of_li.sends(LI)
    assert HELLO.text.encode() in wechat.raw[0]


@pytest.mark.parametrize(
    ("fault", "ended"),
    [
        (40003, Dead("person:40003")),
        (43004, Dead("person:43004")),
        (43019, Dead("person:43019")),
        (50005, Dead("person:50005")),
        (45015, Parked("window:45015")),
        (45047, Parked("window:45047")),
        (-1, "later:-1"),
        (45009, "later:45009"),
        (45011, "later:45011"),
        (43117, "later:43117"),
        (99999, "later:99999"),
        (40013, "configuration:40013"),
        (40125, "configuration:40125"),
        (40164, "configuration:40164"),
        (48004, "configuration:48004"),
        (50002, "configuration:50002"),
        (41001, "configuration:41001"),
        (48001, Parked("window:no_sending")),
        (40007, Dead("content:40007")),
        (45002, Dead("content:45002")),
        (44004, Dead("content:44004")),
        (47001, Dead("content:47001")),
        (40033, Dead("content:40033")),
        (87014, Dead("content:87014")),
        ("page", "later:no_json"),
        ("no object", "later:no_json"),
        (429, "later:status_429"),
        (500, "later:status_500"),
        (502, "later:status_502"),
        (504, Unknown("status_504")),
    ],
)
async def test_each_refusal_has_its_end(house_of_li: House, wechat: StandIn, fault: Any, ended: Any) -> None:
    wechat.faults.append(fault)
    found = await house_of_li.sends(LI)
    if isinstance(ended, str):
        assert isinstance(found, Retry) and found.error_class == ended and found.at > datetime.now(UTC)
    else:
        assert found == ended
    assert wechat.sent == []


async def test_nobody_knows_of_an_answer_that_was_cut_off(
    house_of_li: House, wechat: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.wechat.transport.TIMEOUT", httpx.Timeout(0.3))
    await house_of_li.channel._api._tokens.current()
    wechat.faults.append("slow")
    assert await house_of_li.sends(LI) == Unknown("ReadTimeout")


async def test_calls_that_are_used_up_count_anew_at_midnight_in_shanghai() -> None:
    now = datetime(2026, 3, 11, 15, 59, tzinfo=UTC)  # 23:59 there
    ended = ERRORS.outcome(45009, now)
    assert isinstance(ended, Retry) and ended.at.astimezone(SHANGHAI).strftime("%d %H:%M") == "12 00:01"


async def test_every_known_code_leads_to_one_end() -> None:
    named = [*ERRORS.person, *ERRORS.window, *ERRORS.later, *ERRORS.configuration, *ERRORS.content]
    assert len(named) == len(set(named))


async def test_an_operator_reads_what_is_set_up_wrongly_until_it_is_right(house_of_li: House, wechat: StandIn) -> None:
    wechat.faults.append(40164)
    await house_of_li.sends(LI)
    assert await house_of_li.channel.check() == [ERRORS.configuration[40164]]
    assert await house_of_li.sends(LI) == Sent()
    assert await house_of_li.channel.check() == []


async def test_a_secret_that_was_changed_is_told_and_nothing_of_it(
    house_of_li: House, wechat: StandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # as the house has it
    logging.getLogger("httpcore").setLevel(logging.WARNING)
    wechat.no_token_is_good = True
    ended = await house_of_li.sends(LI)
    assert isinstance(ended, Retry) and ended.error_class == "configuration:40001"
    assert wechat.calls == 2 and wechat.fetched <= 3
    told = caplog.text + str(await house_of_li.channel.check())
    assert SECRET not in told and wechat.token not in told and LI not in told


# ---- choices, pictures ----


async def test_choices_are_lines_to_tap(house_of_li: House, wechat: StandIn) -> None:
    await house_of_li.sends(LI, TAPS)
    lines = [{"id": "AbCdEfGh12345678-1", "content": "退货退款"}, {"id": "AbCdEfGh12345678-2", "content": "换货"}]
    assert wechat.sent == [(LI, "msgmenu", {"head_content": "办哪个？", "list": lines, "tail_content": ""})]


async def test_an_account_without_such_lines_is_known_from_then_on_by_all(house_of_li: House, wechat: StandIn) -> None:
    wechat.menus = False
    assert house_of_li.channel.capabilities.buttons
    assert await house_of_li.sends(LI, TAPS) == Sent()
    assert wechat.texts(LI) == ["办哪个？\n· 退货退款\n· 换货\n直接回复其中一项就行。"]
    assert house_of_li.channel.capabilities.buttons == 0
    house_of_li.restart()
    await house_of_li.channel._account.refresh()
    wechat.calls = 0
    assert await house_of_li.sends(LI, TAPS) == Sent()
    assert wechat.calls == 1


PICTURE = "0123456789abcdef" * 2 + ".png"


async def test_a_drawn_picture_is_shown_below_its_words(house_of_li: House, wechat: StandIn) -> None:
    settings.pictures_dir().mkdir(exist_ok=True, parents=True)
    (settings.pictures_dir() / PICTURE).write_bytes(b"\x89PNG drawn")
    assert await house_of_li.sends(LI, Bubble("比一比", picture=PICTURE)) == Sent()
    assert [(kind, content) for _, kind, content in wechat.sent] == [
        ("text", {"content": "比一比"}),
        ("image", {"media_id": "media-1"}),
    ]
    assert b"\x89PNG drawn" in wechat.uploads[0]


@pytest.mark.parametrize(
    ("picture", "shown"),
    [
        ("https://cdn.example/1.jpg", "看\nhttps://cdn.example/1.jpg"),
        ("/c/token/card.png", "看\nhttps://shop.example/c/token/card.png"),
        ("f" * 32 + ".png", f"看\nhttps://shop.example/pictures/{'f' * 32}.png"),  # tidied away since
    ],
)
async def test_another_picture_is_named_by_its_address(
    house_of_li: House, wechat: StandIn, picture: str, shown: str
) -> None:
    await house_of_li.sends(LI, Bubble("看", picture=picture))
    assert wechat.texts(LI) == [shown]


async def test_nothing_is_longer_than_wechat_takes(house_of_li: House, wechat: StandIn) -> None:
    link = "https://shop.example/" + "a" * 300
    assert await house_of_li.sends(LI, Bubble("好的。" * 220, link=link)) == Sent()
    first, second = wechat.texts(LI)
    assert first.endswith("。") and second.endswith(link)


async def test_an_account_that_may_not_send_does_not_try(house_of_li: House, wechat: StandIn) -> None:
    wechat.service = False
    assert await house_of_li.sends(LI) == Parked("window:no_sending")
    wechat.calls = 0
    assert await house_of_li.sends(LI) == Parked("window:no_sending")
    await house_of_li.channel.typing(LI)
    assert wechat.typing == [] and wechat.calls == 0
    assert not house_of_li.channel.capabilities.buttons and not house_of_li.channel.capabilities.typing


async def test_typing_is_shown_and_what_goes_wrong_with_it_is_nothing(
    house_of_li: House, wechat: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.wechat.sending.TYPING_AFTER", 0.0)
    await house_of_li.channel.typing(LI)
    assert wechat.typing == [LI]
    wechat.no_token_is_good = True
    await house_of_li.channel.typing(LI)
    assert wechat.typing == [LI]


async def test_what_a_customer_has_sent_is_fetched(house_of_li: House, wechat: StandIn) -> None:
    wechat.media["m1"] = b"\xff\xd8\xff photo", "image/jpeg"
    assert await house_of_li.channel.fetch(Media(kind="picture", handle="m1")) == b"\xff\xd8\xff photo"
    assert await house_of_li.channel.fetch(Media(kind="video", handle="film")) == b"moving"


@pytest.mark.parametrize("content", [None, bytes(10 * 1024 * 1024 + 1)])
async def test_what_is_gone_or_too_large_is_not_to_be_had(
    house_of_li: House, wechat: StandIn, content: bytes | None
) -> None:
    if content is not None:
        wechat.media["m1"] = content, "image/jpeg"
    with pytest.raises(MediaUnavailable) as error:
        await house_of_li.channel.fetch(Media(kind="picture", handle="m1"))
    assert "token" not in str(error.value)


async def test_a_token_that_was_forgotten_does_not_keep_a_picture_away(house_of_li: House, wechat: StandIn) -> None:
    await house_of_li.sends(LI)
    wechat.rotate()
    wechat.media["m1"] = b"GIF89a", "image/gif"
    assert await house_of_li.channel.fetch(Media(kind="picture", handle="m1")) == b"GIF89a"


async def test_its_doors_are_the_gateways(house_of_li: House) -> None:
    assert isinstance(house_of_li.channel.router(), APIRouter)


async def test_while_the_database_is_away_nothing_goes_out_and_nothing_is_lost(
    house_of_li: House, wechat: StandIn, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE wechat_grant RENAME TO elsewhere"))
    try:
        ended = await house_of_li.sends(LI)
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO wechat_grant"))
    assert isinstance(ended, Retry) and ended.error_class == "later:storage"
    assert wechat.sent == []
    assert isinstance(await house_of_li.sends(LI), Sent)
