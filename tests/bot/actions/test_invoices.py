"""Invoices and accounts: what words say, what is refused when it is said, and what is written, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bot.actions import malls
from bot.actions.accounts import (
    AccountBoundAlready,
    AskAccountOrder,
    AskAccountPhone,
    AskConfirmAccount,
    BindAccount,
    BindAccountValidation,
)
from bot.actions.invoices import (
    AskConfirmInvoice,
    AskInvoiceKind,
    AskInvoiceTitle,
    AskTaxNumber,
    InvoiceValidation,
    RefuseInvoice,
    RequestInvoice,
    kind_in,
    tax_number_fault,
    title_in,
)
from mall_adapter import SqlMall, models
from mall_adapter.values import InvoiceKind, InvoiceRequest, OrderStatus
from storage import WRITES, create_engine, migrate
from tests.bot.actions.asking import ORDERS, PHONE, Customer, add_orders
from tests.mall_adapter.goods import empty

SHOES, LIPSTICK = ORDERS[0][0], ORDERS[1][0]
NAME, TAX_NUMBER = "杭州明日科技有限公司", "91350100M000100Y43"


@pytest.fixture(scope="module")
def address(house: Path) -> str:
    url = f"sqlite+aiosqlite:///{house}/invoices.db"
    asyncio.run(migrate(url))
    return url


@pytest.fixture
async def session(address: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncSession]:
    engine = create_engine(address)
    monkeypatch.setattr(malls._mall, "room", SqlMall(engine))
    async with AsyncSession(engine.execution_options(**WRITES)) as session:
        async with session.begin():
            await empty(session)
            add_orders(session)
        yield session
    await engine.dispose()


# ---- what words say


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("个人", "personal"),
        ("我要个人发票，不是公司的", "personal"),
        ("公司的不要，开个人", "personal"),
        ("别开公司的，个人就行", "personal"),
        ("我们公司要开票", "company"),
        ("能开专票吗", "company"),
        ("开单位抬头", "company"),
        ("要报销用", "company"),
        ("不是个人，是单位的", "company"),
        ("发票抬头从个人改成公司", "company"),
        ("是修改为单位发票 我现在的是个人发票", "company"),
        ("我可以把之前的发票个人改成公司吗", "company"),
        ("换成个人的吧，公司的开不了", "personal"),
        ("这单得开公司的 当时忘了选 现在是个人发票", "company"),
        ("之前开的是单位的，这回开我个人", "personal"),
        ("a company invoice please", "company"),
        ("not for my company, personal", "personal"),
        ("开发票", None),
        ("个人还是公司好", None),
        ("电子发票", None),
        ("", None),
    ],
)
def test_kinds(words: str, kind: str | None) -> None:
    assert kind_in(words) == kind


@pytest.mark.parametrize(
    ("words", "asked", "title"),
    [
        (NAME, True, NAME),
        (NAME, False, NAME),
        (f"抬头写{NAME}，谢谢", False, NAME),
        (f"我们单位是{NAME}", False, NAME),
        (f"帮我开{NAME}的发票", False, NAME),
        (f"抬头写错了，改成{NAME}", False, NAME),
        ("成都开元酒店管理有限公司", True, "成都开元酒店管理有限公司"),
        ("贵州茅台酒股份有限公司", False, "贵州茅台酒股份有限公司"),
        ("微软（中国）有限公司", True, "微软（中国）有限公司"),
        ("抬头：上海明日律师事务所", False, "上海明日律师事务所"),
        ("杭州第二中学", True, "杭州第二中学"),
        ("杭州第二中学", False, None),
        ("抬头写杭州第二中学", False, "杭州第二中学"),
        ("湖滨路便民超市的", True, "湖滨路便民超市"),
        ("please make it out to Acme Trading Co., Ltd.", False, "Acme Trading Co., Ltd"),
        (f"名字 {NAME}", True, NAME),
        (f"公司 {NAME} 税号", False, NAME),
        (f"改一下 是 {NAME}", False, NAME),
        (f"改一下是{NAME}", False, NAME),
        (f"没有“单位”俩字 就 {NAME}", False, NAME),
        (f"抬头多了俩字！不对 是 {NAME}", False, NAME),
        ("名字 杭州第二中学", True, "杭州第二中学"),
        ("公司 北京云帆 科技有限公司", False, "北京云帆 科技有限公司"),
        ("我们公司要开票", False, None),
        ("我们公司要开票", True, None),
        ("公司", True, None),
        ("开公司抬头", True, None),
        ("抬头怎么写", True, None),
        ("稍等我问问财务部", True, None),
        ("今天天气真好", True, None),
        ("你们是哪家公司", True, None),
        ("个人", True, None),
        ("昨天买的那双鞋", False, None),
    ],
)
def test_titles(words: str, asked: bool, title: str | None) -> None:
    assert title_in(words, asked) == title


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (TAX_NUMBER, None),
        ("110105123456789", None),
        (TAX_NUMBER[:-1], ("tax_number_length", "17")),
        ("12345", ("tax_number_length", "5")),
        ("9135O100M000100Y43", ("tax_number_characters", "O")),
        ("9I350I00MZ00100Y43", ("tax_number_characters", "I Z")),
        ("91350100M000100Y44", ("tax_number_check", "91350100M000100Y44")),
    ],
)
def test_tax_numbers(number: str, fault: tuple[str, str] | None) -> None:
    assert tax_number_fault(number) == fault


# ---- the flow


def invoicing(sender: str = "web:ann", order_id: str | None = SHOES, **slots: Any) -> Customer:
    return Customer("request_invoice", sender, order_id=order_id, **slots)


async def test_everything_in_one_message(session: AsyncSession) -> None:
    customer = invoicing().says(f"开发票，{NAME}，税号 {TAX_NUMBER}，发到 a.b@c.com")
    slots = await customer.hears(InvoiceValidation(), tax_number=TAX_NUMBER, email="a.b@c.com")
    assert slots["proved"] == SHOES
    assert (slots["invoice_kind"], slots["invoice_title"]) == ("company", NAME)
    assert (slots["tax_number"], slots["email"]) == (TAX_NUMBER, "a.b@c.com")


@pytest.mark.parametrize(
    "text",
    [
        f"单位全称: {NAME} 税号: {TAX_NUMBER}",
        f"公司名称:{NAME}。纳税人识别号:{TAX_NUMBER}",
        f"名称：{NAME}\n税号：{TAX_NUMBER}\n地址、电话：杭州市西湖区文三路1号 0571-87654321",
    ],
)
async def test_billing_details_are_read_before_the_order_is_known(session: AsyncSession, text: str) -> None:
    customer = invoicing(order_id=None).says(text)
    slots = await customer.hears(InvoiceValidation(), tax_number=TAX_NUMBER, order_id={"words": text})
    assert (slots["invoice_kind"], slots["invoice_title"], slots["tax_number"]) == ("company", NAME, TAX_NUMBER)
    assert slots["problem"] is None


async def test_what_is_printed_on_no_ordinary_invoice_is_no_wrong_answer(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", proved=SHOES)
    text = "开户行及账号：农行城东支行 6228480402564890018"
    slots = await customer.says(text).hears(InvoiceValidation(), invoice_title={"words": text})
    assert (slots["invoice_title"], slots["problem"]) == (None, None)
    assert await customer.meets(AskInvoiceTitle()) == ["utter_invoice_not_printed", "utter_ask_invoice_title"]
    assert await customer.meets(AskInvoiceTitle()) == ["utter_ask_invoice_title"]  # said once


async def test_a_special_invoice_is_heard_where_the_kind_is_asked_for(session: AsyncSession) -> None:
    customer = invoicing(proved=SHOES)
    slots = await customer.says("增票").hears(InvoiceValidation(), invoice_kind={"words": "增票"})
    assert slots["invoice_kind"] == "company"
    assert await customer.meets(AskInvoiceTitle()) == ["utter_invoice_not_special", "utter_ask_invoice_title"]


@pytest.mark.parametrize(
    ("words", "refused"),
    [("我要的是增值税专用发票", True), ("普票也行", False), ("专票 抬头苏州青禾文具有限公司", False)],
)
async def test_who_insists_on_a_special_invoice_is_offered_a_person(
    words: str, refused: bool, session: AsyncSession
) -> None:
    customer = invoicing(order_id=None)
    slots = await customer.says("开发票 专票").hears(InvoiceValidation())
    assert slots["invoice_note"] == "told"  # before any order is asked for
    slots = await customer.says(words).hears(InvoiceValidation())
    assert bool(slots["refusal"]) is refused
    if refused:
        assert await customer.meets(RefuseInvoice()) == ["utter_invoice_only_ordinary"]


async def test_a_change_is_of_the_order_that_has_an_invoice(session: AsyncSession) -> None:
    request = InvoiceRequest(order_id=LIPSTICK, kind=InvoiceKind.PERSONAL, title="个人", tax_number=None, email=None)
    await (await malls.get_mall()).request_invoice("web:ann", request, idempotency_key="k")
    slots = await invoicing(order_id=None).says("发票抬头要改成单位的").hears(InvoiceValidation())
    assert (slots["order_id"], slots["refusal"]) == (LIPSTICK, {"name": "exists"})


async def test_a_change_where_nothing_was_issued_is_a_request(session: AsyncSession) -> None:
    slots = await invoicing(order_id=None).says("发票抬头要改成单位的").hears(InvoiceValidation())
    assert (slots["order_id"], slots["refusal"], slots["invoice_kind"]) == (None, None, "company")


async def test_step_by_step(session: AsyncSession) -> None:
    customer = invoicing().says("我们公司要开票")
    slots = await customer.hears(InvoiceValidation())
    assert (slots["invoice_kind"], slots["invoice_title"]) == ("company", None)
    assert await customer.meets(AskInvoiceTitle()) == ["utter_ask_invoice_title"]
    customer.attempt = 2
    for words in ("哈哈你真逗", "公司"):
        slots = await customer.says(words).hears(InvoiceValidation(), invoice_title={"words": words})
        assert slots["invoice_title"] is None
        assert await customer.meets(AskInvoiceTitle()) == ["utter_ask_invoice_title_again"]
    slots = await customer.says(NAME).hears(InvoiceValidation(), invoice_title={"words": NAME})
    assert slots["invoice_title"] == NAME
    assert slots["problem"] is None


@pytest.mark.parametrize(
    ("text", "heard", "response"),
    [
        ("税号 91350100M000100Y44", {"tax_number": "91350100M000100Y44"}, "utter_tax_number_check"),
        ("税号 9135O100M000100Y43", {"tax_number": "9135O100M000100Y43"}, "utter_tax_number_characters"),
        ("91350100M000100", {"tax_number": "91350100M000100"}, None),  # 15 characters, as they once were
        ("91350100M00010", {"tax_number": {"words": "91350100M00010"}}, "utter_tax_number_length"),
        ("9135010012", {"order_id": "ORD9135010012"}, "utter_tax_number_length"),
        ("等我找找执照", {"tax_number": {"words": "等我找找执照"}}, "utter_ask_tax_number_again"),
    ],
)
async def test_a_wrong_tax_number_is_refused_when_it_is_said(
    session: AsyncSession, text: str, heard: dict[str, Any], response: str | None
) -> None:
    customer = invoicing(invoice_kind="company", invoice_title=NAME, proved=SHOES)
    customer.frame["asked"], customer.attempt = "tax_number", 2
    slots = await customer.says(text).hears(InvoiceValidation(), **heard)
    assert slots["order_id"] == SHOES
    assert (slots["tax_number"] is None) == (response is not None)
    assert await customer.meets(AskTaxNumber()) == [response or "utter_ask_tax_number"]


async def test_a_wrong_tax_number_is_told_though_the_order_is_asked_for(session: AsyncSession) -> None:
    customer = invoicing(order_id=None)
    customer.frame["asked"] = "order_id"
    wrong = TAX_NUMBER[:-1] + "5"
    customer.says(f"{NAME} 税号{wrong}")
    customer.slots["heard"] = {"tax_number": wrong}
    assert await customer.meets(InvoiceValidation()) == ["utter_tax_number_check"]
    assert customer.slots["invoice_title"] == NAME


async def test_a_wrong_tax_number_beside_the_title_is_told_once(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", proved=SHOES)
    customer.frame["asked"] = "invoice_title"
    wrong = TAX_NUMBER[:-1] + "5"
    customer.says(f"{NAME} {wrong}")
    customer.slots["heard"] = {"invoice_title": {"words": f"{NAME} {wrong}"}, "tax_number": wrong}
    assert await customer.meets(InvoiceValidation()) == []
    assert customer.slots["invoice_title"] == NAME
    assert await customer.meets(AskTaxNumber()) == ["utter_tax_number_check"]


async def test_the_title_of_the_invoice_before(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", invoice_title=NAME, tax_number=TAX_NUMBER, proved=SHOES)
    await customer.says("对").meets(AskConfirmInvoice())
    customer.confirms()
    await customer.meets(RequestInvoice())
    customer.slots |= dict.fromkeys(("invoice_kind", "invoice_title", "tax_number")) | {"order_id": LIPSTICK}
    slots = await customer.says("公司 跟刚才一样的抬头").hears(InvoiceValidation(), invoice_kind={"words": "…"})
    assert (slots["invoice_kind"], slots["invoice_title"], slots["tax_number"]) == ("company", NAME, TAX_NUMBER)
    assert slots["problem"] is None
    customer.slots |= dict.fromkeys(("invoice_kind", "invoice_title", "tax_number"))
    customer.frame["asked"] = "invoice_kind"
    slots = await customer.says("跟刚才一样啊 还要再打一遍？", acts=("question",)).hears(InvoiceValidation())
    assert (slots["invoice_kind"], slots["invoice_title"], slots["tax_number"]) == ("company", NAME, TAX_NUMBER)


async def test_the_number_of_an_order_is_no_tax_number(session: AsyncSession) -> None:
    customer = invoicing(order_id=None).says(f"给 {LIPSTICK} 开公司发票")
    assert not any(one["entity"] == "tax_number" for one in customer.message["entities"])
    slots = await customer.hears(InvoiceValidation(), order_id=LIPSTICK)
    assert (slots["order_id"], slots["invoice_kind"], slots["tax_number"]) == (LIPSTICK, "company", None)


async def test_a_company_s_data_fall_with_its_kind(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", invoice_title=NAME, tax_number=TAX_NUMBER, proved=SHOES)
    slots = await customer.says("算了开个人的吧").hears(InvoiceValidation(), invoice_title={"words": "算了开个人的吧"})
    assert (slots["invoice_kind"], slots["invoice_title"], slots["tax_number"]) == ("personal", None, None)
    assert slots["problem"] is None
    slots = await customer.says("抬头写王丽").hears(InvoiceValidation(), change="invoice_title")
    assert (slots["invoice_kind"], slots["invoice_title"]) == ("personal", "王丽")


async def test_a_correction_at_the_summary_is_taken(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", invoice_title=NAME, tax_number=TAX_NUMBER, proved=SHOES)
    await customer.says("对").meets(AskConfirmInvoice())
    text = f"税号错了，是 110105123456789，公司叫{NAME.replace('明日', '今日')}"
    slots = await customer.says(text, acts=("correction",)).hears(InvoiceValidation(), tax_number="110105123456789")
    assert (slots["tax_number"], slots["invoice_title"]) == ("110105123456789", NAME.replace("明日", "今日"))
    customer.attempt = 2
    assert await customer.meets(AskConfirmInvoice()) == ["utter_ask_confirm_invoice"]  # in full: it is another one


async def test_questions_for_the_kind(session: AsyncSession) -> None:
    customer = invoicing().says("开发票")
    await customer.hears(InvoiceValidation())
    assert await customer.meets(AskInvoiceKind()) == ["utter_ask_invoice_kind"]
    customer.attempt = 3
    await customer.says("随便").hears(InvoiceValidation(), invoice_kind={"words": "随便"})
    assert await customer.meets(AskInvoiceKind()) == ["utter_ask_invoice_kind_third"]
    slots = await customer.says(NAME).hears(InvoiceValidation(), invoice_kind={"words": NAME})
    assert (slots["invoice_kind"], slots["invoice_title"], slots["problem"]) == ("company", NAME, None)


async def test_a_summary_is_said_in_full_once(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", invoice_title=NAME, tax_number=TAX_NUMBER, proved=SHOES)
    assert await customer.says("对").meets(AskConfirmInvoice()) == ["utter_ask_confirm_invoice"]
    assert NAME in customer.text() and TAX_NUMBER in customer.text() and "确认申请吗" in customer.text()
    for attempt, response in ((2, "again"), (3, "third")):
        customer.attempt = attempt
        assert await customer.says("多久开好").meets(AskConfirmInvoice()) == [f"utter_ask_confirm_invoice_{response}"]
        assert "确认申请吗" in customer.text()
    customer.slots["problem"] = {"slot": "confirmed", "name": "unclear"}
    assert await customer.meets(AskConfirmInvoice()) == ["utter_ask_confirm_invoice_unclear"]
    assert customer.text().startswith("还没有提交，您放心。") and "确认申请吗" in customer.text()


async def invoices(session: AsyncSession) -> list[models.Invoice]:
    return list((await session.scalars(select(models.Invoice))).all())


async def test_a_company_s_invoice_is_written_once(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="company", invoice_title=NAME, tax_number=TAX_NUMBER, proved=SHOES)
    await customer.says("对").meets(AskConfirmInvoice())
    customer.confirms()
    for _ in range(2):  # the turn is lost and replayed
        assert await customer.meets(RequestInvoice()) == ["utter_invoice_requested"]
    (written,) = await invoices(session)
    assert (written.order_id, written.title, written.tax_number, written.amount_cents) == (
        SHOES,
        NAME,
        TAX_NUMBER,
        9900,
    )
    assert customer.focus["written"]["id"] == written.id
    # another request for the same order
    slots = await invoicing().says("开发票").hears(InvoiceValidation())
    assert slots["refusal"] == {"name": "exists"}


async def test_nothing_is_written_without_a_yes_to_these_values(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="personal", proved=SHOES)
    assert await customer.says("对").meets(RequestInvoice()) == []
    customer.confirms(order_id=SHOES)
    assert await customer.meets(RequestInvoice()) == []
    await customer.meets(AskConfirmInvoice())
    customer.confirms().slots["email"] = "a@b.com"
    assert await customer.meets(RequestInvoice()) == []
    assert await invoices(session) == []


async def test_a_personal_invoice(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="personal", tax_number=TAX_NUMBER, proved=SHOES)
    await customer.says("对").meets(AskConfirmInvoice())
    assert TAX_NUMBER not in customer.text()
    assert await customer.confirms().meets(RequestInvoice()) == ["utter_invoice_requested"]
    (written,) = await invoices(session)
    assert (written.kind, written.title, written.tax_number) == (InvoiceKind.PERSONAL, "个人", None)


@pytest.mark.parametrize(
    ("status", "name"), [(OrderStatus.PENDING_PAYMENT, "unpaid"), (OrderStatus.CANCELLED, "cancelled")]
)
async def test_a_refusal_says_why_and_offers_other_orders(
    session: AsyncSession, status: OrderStatus, name: str
) -> None:
    await session.execute(update(models.Order).where(models.Order.id == SHOES).values(status=status))
    await session.commit()
    customer = invoicing().says("开发票")
    assert (await customer.hears(InvoiceValidation()))["refusal"] == {"name": name}
    assert await customer.meets(RefuseInvoice()) == [f"utter_invoice_{name}"]
    assert [button["payload"] for button in customer.told[0]["buttons"]] == [
        f'/request_invoice{{"order_id": "{order_id}"}}' for order_id in (ORDERS[5][0], ORDERS[4][0])
    ]


async def test_what_happened_meanwhile_is_said(session: AsyncSession) -> None:
    customer = invoicing(invoice_kind="personal", proved=SHOES)
    await customer.says("对").meets(AskConfirmInvoice())
    mall = await malls.get_mall()
    await mall.request_invoice("web:ann", InvoiceRequest(SHOES, InvoiceKind.PERSONAL, "个人"), "elsewhere")
    assert await customer.confirms().meets(RequestInvoice()) == ["utter_invoice_exists"]
    assert len(await invoices(session)) == 1


# ---- accounts


def binding(sender: str = "web:guest", **slots: Any) -> Customer:
    return Customer("bind_account", sender, **slots)


async def test_a_proof_in_one_message(session: AsyncSession) -> None:
    customer = binding().says(f"绑定 {PHONE} {SHOES}")
    slots = await customer.hears(BindAccountValidation())
    assert (slots["account_phone"], slots["account_order"]) == (PHONE, SHOES)
    assert await customer.meets(AskConfirmAccount()) == ["utter_ask_confirm_account"]
    assert PHONE not in customer.text() and "138****5678" in customer.text() and "确认绑定吗" in customer.text()
    assert await customer.meets(BindAccount()) == []
    assert await customer.confirms().meets(BindAccount()) == ["utter_account_bound", "utter_account_open_orders"]
    assert "没收到" in customer.text() and "{" not in customer.text()
    mall = await malls.get_mall()
    assert await mall.customer_of("web:guest")


async def test_an_order_that_another_flow_was_told_is_known(session: AsyncSession) -> None:
    customer = binding(order_id=SHOES).says(PHONE)
    slots = await customer.hears(BindAccountValidation(), account_phone=PHONE)
    assert slots["account_order"] == SHOES
    slots = await customer.says("换个订单").hears(BindAccountValidation(), change="account_order")
    assert slots["account_order"] is None


@pytest.mark.parametrize(
    ("slot", "text", "response"),
    [
        ("account_phone", "12345678", "utter_account_phone_wrong"),
        ("account_phone", "随便啦", "utter_ask_account_phone_again"),
        ("account_order", "SF1", "utter_account_order_wrong"),
        ("account_order", "哪里看", "utter_ask_account_order_again"),
    ],
)
async def test_what_is_no_proof_is_said(session: AsyncSession, slot: str, text: str, response: str) -> None:
    customer = binding()
    customer.attempt, customer.frame["asks"] = 2, {slot: 1}
    slots = await customer.says(text).hears(BindAccountValidation(), **{slot: {"words": text}})
    assert slots[slot] is None
    action = AskAccountPhone() if slot == "account_phone" else AskAccountOrder()
    assert await customer.meets(action) == [response]


async def test_a_wrong_proof_counts(session: AsyncSession) -> None:
    customer = binding(account_phone="13900001111", account_order=SHOES)
    for tries in range(5):
        await customer.says("对").meets(AskConfirmAccount())
        wrong = await customer.confirms().meets(BindAccount())
        assert wrong == (["utter_account_wrong_proof"] if tries < 4 else ["utter_account_locked"])
    assert "再试" not in customer.text()
    mall = await malls.get_mall()
    assert await mall.customer_of("web:guest") is None


async def test_who_is_bound_is_told(session: AsyncSession) -> None:
    customer = binding("web:ann").says("绑定")
    assert (await customer.hears(BindAccountValidation()))["bound"] is True
    assert await customer.meets(AccountBoundAlready()) == ["utter_account_bound_already"]
