"""Where a parcel shall go instead: what a customer types, what is lacking, and what is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from bot.actions import malls
from bot.actions.delivery import (
    AskConfirmAddress,
    AskDelivery,
    AskOrderPhone,
    ChangeAddress,
    ChangeAddressValidation,
    RefuseChangeAddress,
    read_delivery,
)
from bot.actions.executor import Executor
from bot.actions.order_choice import AskOrderId
from bot.actions.turn import Turn
from mall_adapter import SqlMall, models
from mall_adapter.errors import OwnershipRequired
from mall_adapter.values import DeliveryChange, OrderStatus
from storage import WRITES, create_engine, migrate
from tests.bot.actions.asking import DOMAIN, ORDERS, PHONE, Customer, add_orders, entities
from tests.mall_adapter.goods import empty
from tests.mall_adapter.offices import new_key, ship_order

DELIVERED, _, _, TRAVELLING, PAID, PRESALE = (order[0] for order in ORDERS)
ADDRESS = "浙江省杭州市西湖区湖滨路18号"


def turn(text: str) -> Turn:
    spans = tuple(entities(text))
    values: dict[str, list[Any]] = {}
    for span in spans:
        values.setdefault(span["entity"], []).append(span["value"])
    return Turn(text, "inform", 0.9, {}, values, text, "m1", spans=spans)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("上海市徐汇区漕溪路 250 号 5 楼", {"address": "上海市徐汇区漕溪路 250 号 5 楼"}),
        (f"地址改成{ADDRESS}", {"address": ADDRESS}),
        (f"地址改成\n{ADDRESS}\n谢谢", {"address": ADDRESS}),
        (f"能不能改到{ADDRESS}可以吗", {"address": ADDRESS}),
        (f"{PAID} 地址写错了，应该寄到{ADDRESS}", {"address": ADDRESS}),
        ("北京海淀中关村大街1号", {"address": "北京海淀中关村大街1号"}),
        ("东莞市长安镇振安路3号B栋", {"address": "东莞市长安镇振安路3号B栋"}),
        ("武汉市洪山区华中科技大学", {"address": "武汉市洪山区华中科技大学"}),
        (
            "收件人王小明 13900001111 上海市浦东新区张江路 12 号",
            {"recipient_name": "王小明", "phone": "13900001111", "address": "上海市浦东新区张江路 12 号"},
        ),
        (
            "北京市海淀区中关村大街1号 李强 139 0000 1111",
            {"recipient_name": "李强", "phone": "13900001111", "address": "北京市海淀区中关村大街1号"},
        ),
        ("电话换成 13900001111", {"phone": "13900001111"}),
        ("收件人改成李强", {"recipient_name": "李强"}),
        ("名字写错了，应该是李强", {"recipient_name": "李强"}),
        ("收货人名字打错了，应该叫李强", {"recipient_name": "李强"}),
        ("收件人可以改吗", {}),
        (f"{ADDRESS} 我儿子叫陈子昂", {"recipient_name": "陈子昂", "address": ADDRESS}),
        (f"我儿子叫陈子昂 寄到{ADDRESS}", {"recipient_name": "陈子昂", "address": ADDRESS}),
        ("收件人要写周桂兰电话13900001111呀", {"phone": "13900001111", "recipient_name": "周桂兰"}),
        ("名字呀收件人名字改周桂兰不然送不到", {"recipient_name": "周桂兰"}),
        ("收件人名字改成周桂兰吧", {"recipient_name": "周桂兰"}),
        ("收件人周桂兰女士", {"recipient_name": "周桂兰"}),
        ("写我妈名字 周桂兰", {"recipient_name": "周桂兰"}),
        ("收件人是我妈周桂兰", {"recipient_name": "周桂兰"}),
        (f"地址改成{ADDRESS}给李强收", {"recipient_name": "李强", "address": ADDRESS}),
        (f"{ADDRESS} 让我爸李强签收", {"recipient_name": "李强", "address": ADDRESS}),
        (f"周桂兰 {ADDRESS}", {"recipient_name": "周桂兰", "address": ADDRESS}),
        (f"{ADDRESS} 周桂兰", {"recipient_name": "周桂兰", "address": ADDRESS}),
        (f"{ADDRESS} 谢谢", {"address": ADDRESS}),
        (f"{ADDRESS} 周末送", {"address": ADDRESS}),
        (f"{ADDRESS} 门卫收", {"address": ADDRESS}),
        (f"{ADDRESS} 快递柜代收", {"address": ADDRESS}),
        (f"我女儿叫我改到{ADDRESS}", {"address": ADDRESS}),
        ("收件人写我女儿的名字就行", {}),
        ("改成我朋友收", {}),
        ("我叫你别发了", {}),
        ("我什么时候收货", {}),
        (
            "Room 5, 250 Caoxi Road, Xuhui District, Shanghai",
            {"address": "Room 5, 250 Caoxi Road, Xuhui District, Shanghai"},
        ),
        ("改到公司吧", {}),
        ("嗯", {}),
    ],
)
def test_read_delivery(text: str, found: dict[str, str]) -> None:
    assert read_delivery(turn(text)).values == found


@pytest.mark.parametrize(
    ("text", "begun", "lacking"),
    [
        ("改到杭州市西湖区", "杭州市西湖区", ("street", "number")),
        ("漕溪路250号", "漕溪路250号", ("region",)),
        ("上海市徐汇区漕溪路", "上海市徐汇区漕溪路", ("number",)),
        ("18号", "18号", ("region", "street")),
        (ADDRESS, "", ()),
        ("今天天气真好", "", ()),
    ],
)
def test_half_an_address(text: str, begun: str, lacking: tuple[str, ...]) -> None:
    said = read_delivery(turn(text))
    assert (said.begun, said.lacking) == (begun, lacking)


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("电话换成 13900001111", True),
        ("收货人电话留错了，应该是13900001111", True),
        ("新电话 13900001111", True),
        ("换个手机号13900001111", True),
        (f"王丽 13900001111 {ADDRESS}", True),
        ("13900001111", False),
        ("我的手机号是13900001111", False),
        ("收货手机13900001111", False),
    ],
)
def test_a_new_phone_and_one_that_proves(text: str, new: bool) -> None:
    assert read_delivery(turn(text)).new_phone is new


# ---- the flow


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/delivery.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def engine(address: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(address)
    yield engine
    await engine.dispose()


@pytest.fixture
async def session(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncSession]:
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        async with session.begin():
            await empty(session)
            add_orders(session)
        yield session
    await engine.dispose()


def changing(sender: str = "web:ann", order_id: str | None = PAID, **slots: Any) -> Customer:
    return Customer("change_address", sender, order_id=order_id, **slots)


async def recipient(session: AsyncSession, order_id: str = PAID) -> tuple[str, str, str]:
    order = await session.get_one(models.Order, order_id, populate_existing=True)
    await session.refresh(order, ["recipient_name", "recipient_phone", "recipient_address"])
    found = (order.recipient_name, order.recipient_phone, order.recipient_address)
    await session.rollback()
    return found


async def test_everything_in_one_message(session: AsyncSession) -> None:
    customer = changing().says(f"{PAID} 改成王丽 13900001111 {ADDRESS}")
    slots = await customer.hears(ChangeAddressValidation(), phone_tail="1111")
    assert slots["delivery"] == {"phone": "13900001111", "recipient_name": "王丽", "address": ADDRESS}
    assert await customer.meets(AskConfirmAddress()) == ["utter_ask_confirm_address"]
    assert "确认修改吗" in customer.text()
    before = await recipient(session)
    assert await customer.meets(ChangeAddress()) == []
    assert await recipient(session) == before
    for _ in range(2):  # the turn is lost and replayed
        assert await customer.confirms().meets(ChangeAddress()) == ["utter_address_changed"]
    assert await recipient(session) == ("王丽", "13900001111", ADDRESS)
    assert customer.focus["written"]["order"] == PAID


async def test_the_mobile_that_proves_is_no_new_phone(session: AsyncSession) -> None:
    customer = changing("web:guest", phone_tail=None).says("改地址")
    slots = await customer.hears(ChangeAddressValidation())
    assert slots["proved"] is None
    slots = await customer.says(f"{PHONE}").hears(ChangeAddressValidation(), phone_tail=PHONE[-4:])
    assert slots["proved"] == PAID
    assert slots["delivery"] is None


async def test_a_new_phone_proves_nothing(session: AsyncSession) -> None:
    customer = changing("web:guest", phone_tail="1111").says("电话换成 13900001111")
    slots = await customer.hears(ChangeAddressValidation())
    assert (slots["proved"], slots["phone_tail"], slots["problem"]) == (None, None, None)
    assert slots["delivery"] == {"phone": "13900001111"}
    slots = await customer.says(PHONE).hears(ChangeAddressValidation(), order_phone=PHONE, phone_tail="5678")
    assert (slots["proved"], slots["delivery"]) == (PAID, {"phone": "13900001111"})


async def test_four_digits_are_too_few_and_the_whole_phone_is_asked_for_once(session: AsyncSession) -> None:
    customer = changing("web:guest").says(f"{PAID} 改地址 尾号5678")
    slots = await customer.hears(ChangeAddressValidation(), phone_tail="5678")
    assert (slots["proved"], slots["refusal"]) == (None, None)
    assert await customer.meets(AskOrderPhone()) == ["utter_ask_order_phone"]
    for words in ("包裹", "完整的 11 位"):
        assert words in customer.text()
    customer.attempt = 2
    await customer.says("5678").hears(ChangeAddressValidation(), order_phone="5678", phone_tail="5678")
    assert await customer.meets(AskOrderPhone()) == ["utter_order_phone_short"]
    slots = await customer.says(PHONE).hears(ChangeAddressValidation(), order_phone=PHONE, phone_tail="5678")
    assert (slots["proved"], slots["delivery"]) == (PAID, None)
    slots = await customer.says(ADDRESS).hears(ChangeAddressValidation(), delivery={"words": ADDRESS})
    await customer.meets(AskConfirmAddress())
    assert await customer.confirms().meets(ChangeAddress()) == ["utter_address_changed"]
    assert (await recipient(session))[1:] == (PHONE, ADDRESS)


async def test_a_short_answer_is_told_what_is_lacking_whether_it_fits_or_not(session: AsyncSession) -> None:
    for tail in ("5678", "0000"):
        customer = changing(f"web:{tail}").says(tail)
        await customer.hears(ChangeAddressValidation(), order_phone=tail, phone_tail=tail)
        assert await customer.meets(AskOrderPhone()) == ["utter_order_phone_short"]


async def test_a_tail_shows_that_it_is_too_late(session: AsyncSession) -> None:
    customer = changing("web:guest", order_id=DELIVERED).says(f"{DELIVERED} 改地址 尾号5678")
    slots = await customer.hears(ChangeAddressValidation(), phone_tail="5678")
    assert slots["refusal"] == {"name": "delivered"}


async def test_a_wrong_phone_is_said_like_that_of_nobodys_order(session: AsyncSession) -> None:
    heard = []
    for order_id in (PAID, "ORD99999"):
        customer = changing(f"web:guest {order_id}", order_id=order_id)
        told = []
        for tries in range(5):
            phone = f"1390000000{tries}"
            slots = await customer.says(phone).hears(ChangeAddressValidation(), order_phone=phone, phone_tail="0000")
            assert (slots["proved"], slots["delivery"], slots["phone_tail"]) == (None, None, None)
            ask = AskOrderPhone() if tries < 4 else AskOrderId()
            told += await customer.meets(ask)
            told.append(customer.text().replace(order_id, ""))
        assert told[-2] == "utter_order_phone_locked"
        assert customer.told[0]["buttons"][-1]["payload"] == "/human_handoff"
        heard.append(told)
    assert heard[0] == heard[1]


async def test_the_old_phone_and_the_new_one_in_one_message(session: AsyncSession) -> None:
    customer = changing("web:guest").says(f"原来的是{PHONE}，换成13911112222")
    slots = await customer.hears(ChangeAddressValidation(), order_phone=PHONE)
    assert (slots["proved"], slots["delivery"]) == (PAID, {"phone": "13911112222"})


async def test_the_new_phone_is_not_counted_as_a_wrong_old_one(session: AsyncSession) -> None:
    customer = changing("web:guest").says("新手机号改成13911112222")
    slots = await customer.hears(ChangeAddressValidation(), order_phone="13911112222", phone_tail="2222")
    assert (slots["proved"], slots["problem"], slots["delivery"]) == (None, None, {"phone": "13911112222"})


async def test_who_loses_the_proof_in_the_middle_is_asked_anew(session: AsyncSession) -> None:
    await (mall := await malls.get_mall()).prove_phone("web:guest", PAID, PHONE, new_key())
    customer = changing("web:guest", proved=PAID, delivery={"address": ADDRESS}).says("对了")
    await mall.change_delivery("web:ann", PAID, DeliveryChange(phone="13911112222"), "k")
    slots = await customer.hears(ChangeAddressValidation())
    assert slots["proved"] is None
    assert await customer.meets(AskOrderPhone()) == ["utter_ask_order_phone"]


async def test_a_summary_of_what_is_theirs_no_more_says_so(session: AsyncSession) -> None:
    """It may be shown again without anything that is to be validated."""
    (executor := Executor()).register_action(AskConfirmAddress())
    tracker: dict[str, Any] = {
        "sender_id": "web:guest",
        "slots": {"order_id": PAID, "proved": PAID},
        "events": [],
        "latest_message": {},
        "paused": False,
        "followup_action": None,
        "active_loop": {},
        "latest_action_name": None,
    }
    told = await executor.run({"next_action": "action_ask_confirm_address", "tracker": tracker, "domain": DOMAIN})
    assert told is not None
    assert [one["response"] for one in told.responses] == ["utter_proof_ended"]
    assert [(one["name"], one["value"]) for one in told.events] == [("proved", None)]
    tracker["slots"]["proved"] = None
    with pytest.raises(OwnershipRequired):
        await executor.run({"next_action": "action_ask_confirm_address", "tracker": tracker, "domain": DOMAIN})


async def test_what_is_lacking_is_asked_for_and_put_together(session: AsyncSession) -> None:
    customer = changing(proved=PAID)
    customer.attempt = 2
    for text, lacking in (("王丽收 杭州市西湖区", "路名或小区和门牌号"), ("湖滨路", "门牌号")):
        slots = await customer.says(text).hears(ChangeAddressValidation(), delivery={"words": text})
        assert slots["delivery"] is None
        assert await customer.meets(AskDelivery()) == ["utter_delivery_incomplete"]
        assert f"还差{lacking}" in customer.text()
    text = "18号"
    slots = await customer.says(text).hears(ChangeAddressValidation(), delivery={"words": text})
    assert slots["delivery"] == {"recipient_name": "王丽", "address": "杭州市西湖区湖滨路18号"}


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("公司", "utter_ask_delivery_again"),
        ("随便", "utter_ask_delivery_again"),
        ("电话12345678", "utter_delivery_phone"),
    ],
)
async def test_an_answer_that_is_none(session: AsyncSession, text: str, response: str) -> None:
    customer = changing(proved=PAID)
    customer.attempt = 2
    slots = await customer.says(text).hears(ChangeAddressValidation(), delivery={"words": text})
    assert slots["delivery"] is None
    assert await customer.meets(AskDelivery()) == [response]


async def test_a_correction_changes_only_what_it_names(session: AsyncSession) -> None:
    customer = changing(proved=PAID, delivery={"address": ADDRESS, "phone": "13900001111"})
    slots = await customer.says("电话改成13900002222").hears(ChangeAddressValidation(), phone_tail="2222")
    assert slots["delivery"] == {"address": ADDRESS, "phone": "13900002222"}
    assert slots["proved"] == PAID


@pytest.mark.parametrize(
    ("order_id", "status", "name"),
    [
        (TRAVELLING, None, "too_late"),
        (DELIVERED, None, "delivered"),
        (PAID, OrderStatus.CANCELLED, "cancelled"),
    ],
)
async def test_a_refusal_says_why_and_offers_other_orders(
    session: AsyncSession, order_id: str, status: OrderStatus | None, name: str
) -> None:
    if status:
        await session.execute(update(models.Order).where(models.Order.id == order_id).values(status=status))
        await session.commit()
    customer = changing(order_id=order_id).says("改地址")
    assert (await customer.hears(ChangeAddressValidation()))["refusal"] == {"name": name}
    assert await customer.meets(RefuseChangeAddress()) == [f"utter_address_{name}"]
    assert f'/change_address{{"order_id": "{PRESALE}"}}' in [one["payload"] for one in customer.told[0]["buttons"]]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("收货人电话留错了", "utter_ask_delivery_phone"),
        ("收件人写错了", "utter_ask_delivery_person"),
        ("地址和电话都写错了", "utter_ask_delivery"),
        ("改地址", "utter_ask_delivery"),
    ],
)
async def test_what_is_wrong_is_what_is_asked_for(session: AsyncSession, text: str, question: str) -> None:
    customer = changing(order_id=PAID).says(text)
    await customer.hears(ChangeAddressValidation())
    assert await customer.meets(AskDelivery()) == [question]


async def test_the_phone_of_what_has_come_is_spoken_of_as_a_phone(session: AsyncSession) -> None:
    customer = changing(order_id=DELIVERED).says("收货人电话留错了，应该是13900001111")
    await customer.hears(ChangeAddressValidation())
    assert await customer.meets(RefuseChangeAddress()) == ["utter_address_delivered_contact"]


async def test_shipped_meanwhile(session: AsyncSession, engine: AsyncEngine) -> None:
    customer = changing(proved=PAID, delivery={"address": ADDRESS}).says("对")
    await customer.meets(AskConfirmAddress())
    await ship_order(SqlMall(engine), PAID, "疾鹿速运", "JL1", "elsewhere")
    before = await recipient(session)
    assert await customer.confirms().meets(ChangeAddress()) == ["utter_address_too_late"]
    assert await recipient(session) == before


async def test_a_flow_that_is_taken_up_again_for_another_order_asks_whose_it_is(session: AsyncSession) -> None:
    customer = changing("web:guest", order_id=PRESALE, proved=PAID).says("改地址")
    slots = await customer.hears(ChangeAddressValidation())
    assert (slots["order_id"], slots["proved"]) == (PRESALE, None)
