"""Customers on WeChat, through the doors of a running gateway: nothing is lost, and nothing is answered twice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from connectors.wechat.words import WORDS
from connectors.words import WORDS as HOUSE_WORDS
from tests.connectors.wechat import stand_in
from tests.connectors.wechat.shop import SUCCESS, Shop, until

RECEIPTS = HOUSE_WORDS.receipts
REPLY = ("text", {"content": "收到：我想退货"})
MENU = [{"title": "退货退款", "payload": "/request_return"}, {"title": "换货", "payload": "/request_exchange"}]


async def test_an_answer_goes_back_in_the_same_request(shop: Shop) -> None:
    li = shop.customer()
    assert await li.says("退货要几天") == "收到：退货要几天"
    assert shop.rasa.calls[-1].sender == f"wechat:{li.openid}"
    assert li.received() == []


async def test_said_three_times_it_is_answered_once(shop: Shop) -> None:
    li = shop.customer()
    shop.rasa.gate.clear()
    said = li.message("我想退货")
    tries = [asyncio.create_task(li.sends(said)) for _ in range(3)]
    await shop.rasa.arrival()
    shop.rasa.gate.set()
    assert set(await asyncio.gather(*tries)) == {"收到：我想退货"}
    assert await li.sends(said) == "收到：我想退货"  # as long as WeChat may say it again
    assert shop.rasa.texts() == ["我想退货"] and li.received() == []


async def test_what_takes_longer_is_sent_by_itself(shop: Shop) -> None:
    li, zhang = shop.customer(), shop.customer()
    shop.rasa.gate.clear()
    started = time.monotonic()
    said = zhang.message("好了吗")
    assert set(await asyncio.gather(li.says("查一下"), zhang.sends(said))) == {None}
    assert 4 < time.monotonic() - started < 5
    shop.rasa.gate.set()
    assert await li.receives() == [("text", {"content": "收到：查一下"})]
    assert await zhang.receives() == [("text", {"content": "收到：好了吗"})]
    assert await zhang.sends(said) is None  # and not told again in a reply
    assert shop.wechat.typing.count(li.openid) == 1


async def test_what_nobody_is_there_to_hear_is_sent_by_itself(shop: Shop) -> None:
    li = shop.customer()
    shop.rasa.gate.clear()
    told = asyncio.create_task(li.says("还在吗"))
    await shop.rasa.arrival()
    told.cancel()  # WeChat hangs up
    await asyncio.wait({told})
    shop.rasa.gate.set()
    assert await li.receives() == [("text", {"content": "收到：还在吗"})]


async def test_two_people_may_have_messages_of_one_number(shop: Shop) -> None:
    for customer in (shop.customer(), shop.customer()):
        assert await customer.says("你好", MsgId=42) == "收到：你好"


async def test_choices_are_tapped(shop: Shop) -> None:
    li = shop.customer()
    shop.rasa.answers["我要售后"] = [{"text": "好的。"}, {"text": "办哪个？", "buttons": MENU}]
    assert await li.says("我要售后") == "好的。"
    [(kind, menu)] = await li.receives()
    assert kind == "msgmenu" and [line["content"] for line in menu["list"]] == ["退货退款", "换货"]
    await li.says("换货", bizmsgmenuid=menu["list"][1]["id"])
    assert shop.rasa.texts()[-1] == "/request_exchange"
    wang = shop.customer()
    assert await wang.says("换货", bizmsgmenuid=menu["list"][1]["id"]) == RECEIPTS.expired


async def test_without_lines_to_tap_choices_have_numbers(shop: Shop) -> None:
    li = shop.customer()
    shop.wechat.menus = False
    shop.rasa.answers["我要售后"] = [{"text": "办哪个？", "buttons": MENU}]
    await li.says("我要售后")
    await li.receives()  # now the house knows
    for said in ("2", "第二个"):
        told = await li.says("我要售后")
        assert told is not None and "1. 退货退款\n2. 换货" in told
        await li.says(said)
        assert shop.rasa.texts()[-1] == "/request_exchange"


async def test_what_follows_a_picture_comes_in_its_order(shop: Shop) -> None:
    li = shop.customer()
    name = "ab" * 16 + ".png"
    pictures = shop.gateway.folder / "pictures"
    pictures.mkdir(exist_ok=True)
    (pictures / name).write_bytes(b"\x89PNG\r\n\x1a\n drawn")
    shop.rasa.answers["比一比"] = [{"text": "差别在这里。", "custom": {"picture": name}}, {"text": "要哪个？"}]
    assert await li.says("比一比") == "差别在这里。"
    assert [kind for kind, _ in await li.receives(2)] == ["image", "text"]


async def test_followers_are_welcomed_and_those_who_leave_are_not(shop: Shop) -> None:
    li = shop.customer()
    assert await li.does("subscribe", EventKey="qrscene_门店3", Ticket="T") == RECEIPTS.welcome
    assert await li.does("SCAN", EventKey="门店3", Ticket="T") is None
    assert await li.does("LOCATION", Latitude="23.1", Longitude="113.3") is None
    assert await li.does("unsubscribe") is None
    assert shop.rasa.calls == []


async def test_the_menu_says_it_for_the_customer(shop: Shop) -> None:
    assert await shop.customer().does("CLICK", EventKey="我想退货") == "收到：我想退货"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"MsgType": "voice", "MediaId": "v", "Format": "speex"}, RECEIPTS.media["voice"]),
        ({"MsgType": "voice", "MediaId": "v", "Recognition": "退货"}, "收到：退货"),
        ({"MsgType": "image", "MediaId": "p"}, RECEIPTS.media["picture"]),
        ({"MsgType": "image", "MediaId": "gone"}, RECEIPTS.unkept),
        ({"MsgType": "location", "Location_X": "23.1", "Location_Y": "113.3"}, RECEIPTS.media["location"]),
        ({"MsgType": "link", "Title": "锅", "Url": "https://x/1"}, "收到：锅\nhttps://x/1"),
        ({"Content": WORDS.unsupported}, RECEIPTS.media["sticker"]),
        ({"Content": "a]]&gt;b<c>&amp;"}, "收到：a]]&gt;b<c>&amp;"),
    ],
)
async def test_everything_that_is_sent_has_an_answer(shop: Shop, fields: dict[str, Any], told: str) -> None:
    shop.wechat.media = {"v": (b"#!AMR", "audio/amr"), "p": (b"\xff\xd8\xff photo", "image/jpeg")}
    assert await shop.customer().says(**{"text": None, **fields}) == told


async def test_messages_that_come_at_once_are_answered_each_in_turn(shop: Shop) -> None:
    li = shop.customer()
    said = [f"第{number}句" for number in range(4)]
    told = await asyncio.gather(*(li.says(each) for each in said))
    everything = "\n".join(filter(None, told))
    assert all(everything.count(f"收到：{each}") == 1 for each in said)
    assert not shop.rasa.overtaken


async def test_a_gateway_that_is_killed_in_the_middle_answers_when_it_is_back(shop: Shop) -> None:
    li = shop.customer()
    shop.rasa.gate.clear()
    request = asyncio.create_task(shop.deliver(li.message("我想退货", MsgId=7)))
    await shop.rasa.arrival()
    await asyncio.to_thread(shop.gateway.kill)
    shop.rasa.gate.set()
    with pytest.raises(httpx.TransportError):
        await request
    await asyncio.to_thread(shop.gateway.start)
    told = await li.says("我想退货", MsgId=7)  # WeChat comes again; the one that is dead may still be waited for
    assert [told, *li.received()] == ["收到：我想退货"] if told else await li.receives() == [REPLY]
    assert shop.rasa.texts() == ["我想退货"]


# ---- an account that may not send by itself, in plain mode ----


async def test_an_answer_that_cannot_be_sent_waits_for_the_next_message(alone: Shop) -> None:
    li = alone.customer()
    assert await li.says("你好") == "收到：你好"
    alone.rasa.gate.clear()
    third = li.message("查一下", at=time.time() - 11)  # of three tries, as far as the house can see
    first = stand_in.message(alone.customer().openid, Content="在吗")
    started = time.monotonic()
    told, response = await asyncio.gather(li.sends(third), alone.deliver(first))
    assert told == WORDS.waits
    assert response.text == SUCCESS and time.monotonic() - started > 5  # WeChat has gone, and comes again
    alone.rasa.gate.set()
    await until(lambda: len(alone.rasa.recorded) >= 3)
    assert await li.says("好了吗") == "收到：查一下\n\n收到：好了吗"
    assert alone.wechat.sent == []


async def test_what_has_no_room_in_a_reply_waits_too(alone: Shop) -> None:
    li = alone.customer()
    alone.rasa.answers["说明"] = [{"text": "一句话。" * 200}, {"text": "完了。"}]
    first = await li.says("说明")
    assert first is not None and first.endswith("。") and len(first.encode()) < 2048
    second = await li.says("然后呢")
    assert second is not None and "完了。" in second and second.endswith("收到：然后呢")
    assert (first + second).count("一句话") == 200
