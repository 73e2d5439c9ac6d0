"""Orders and after-sales in a real browser: what an operator sees, taps and is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from mall_adapter.values import TicketStatus
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.shop import LIPSTICK, SERVICE, SHOES, Shop
from tests.connectors.test_web_chat import CHROMIUM, browser  # noqa: F401
from tests.connectors.test_web_chat_trouble import NASTY

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

SIZES = {"phone": ViewportSize(width=390, height=844), "desktop": ViewportSize(width=1280, height=800)}


@pytest.fixture
def sign_in(browser: Browser, gateway: Gateway, rasa: FakeRasa) -> Iterator[Callable[..., Page]]:  # noqa: F811
    pages, faults = [], []

    def sign_in(name: str = "小王", size: str = "desktop") -> Page:
        page = browser.new_context(viewport=SIZES[size], locale="zh-CN").new_page()
        pages.append(page)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{gateway.url}/dashboard/office")
        page.get_by_label("您的称呼").fill(name)
        page.get_by_label("口令").fill(Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip())
        page.get_by_role("button", name="登录").click()
        expect(page.locator("#queues")).to_be_visible()
        return page

    yield sign_in
    for page in pages:
        page.context.close()
    assert faults == []


def row(page: Page, number: str) -> Locator:
    return page.locator(f".handoff[data-id='{number}']")


def open_case(page: Page, queue: str, number: str) -> None:
    page.locator("#queues").get_by_role("link", name=re.compile(queue)).click()
    row(page, number).click()
    expect(page.locator("#what")).to_contain_text(number)


def tap(page: Page, name: str) -> None:
    page.locator("#steps").get_by_role("button", name=name, exact=True).click()


def confirm(page: Page) -> None:
    page.locator("#do").click()


@pytest.mark.parametrize("size", SIZES)
def test_from_the_request_to_the_money(sign_in: Callable[..., Page], shop: Shop, size: str) -> None:
    page, ticket = sign_in(size=size), shop.complains("鞋底裂了，见照片")
    open_case(page, "待审批", ticket.id)
    for words in ("¥399.00", "云跑缓震跑步鞋", "鞋底裂了，见照片", "收到破损", "人工审核", "周琳"):
        expect(page.locator("#facts")).to_contain_text(words)
    tap(page, "同意")
    expect(page.locator("#confirm")).to_contain_text("¥399.00")
    expect(page.locator("#do")).to_have_text("同意 ¥399.00")
    confirm(page)
    expect(page.locator("#confirm")).to_be_hidden()
    expect(page.locator("#state")).to_contain_text("已同意")
    tap(page, "退款")
    expect(page.locator("#do")).to_have_text("退款 ¥399.00")
    confirm(page)
    expect(page.locator("#state")).to_have_text("已退款")
    expect(page.locator("#facts .history").first).to_contain_text("客服 \u2068小王\u2069")
    tap(page, "结案")
    confirm(page)
    expect(page.locator("#state")).to_have_text("已结案")
    expect(page.locator("#steps button")).to_have_count(0)
    assert shop.ticket(ticket.id).status is TicketStatus.CLOSED
    if size == "phone":
        expect(page.locator("#list")).to_be_hidden()
        page.get_by_label("返回清单").click()
        expect(page.locator("#case")).to_be_hidden()
    expect(page.locator("#list")).to_be_visible()
    expect(row(page, ticket.id)).to_have_count(0)


def test_counts_and_lists_follow_what_happens(sign_in: Callable[..., Page], shop: Shop) -> None:
    page = sign_in()
    goods = page.locator("#queues").get_by_role("link", name=re.compile("待收货"))
    goods.click()
    before = int(goods.get_attribute("data-count") or 0)
    ticket = shop.returns()
    expect(row(page, ticket.id)).to_be_visible()
    expect(goods).to_have_attribute("data-count", str(before + 1))


def test_a_rejection_asks_for_words(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, ticket = sign_in(), shop.complains()
    open_case(page, "待审批", ticket.id)
    tap(page, "拒绝")
    confirm(page)
    expect(page.locator("#problem")).to_contain_text("原因")
    page.locator("#templates button").first.click()
    words = page.locator("#note").input_value()
    assert words
    confirm(page)
    expect(page.locator("#state")).to_have_text("已拒绝")
    expect(page.locator("#facts")).to_contain_text(words)
    assert shop.ticket(ticket.id).history[-1].note == words


def test_a_double_click_is_one_step(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, ticket = sign_in(), shop.complains()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    open_case(page, "待审批", ticket.id)
    tap(page, "同意")
    page.locator("#do").dblclick()
    expect(page.locator("#state")).to_contain_text("已同意")
    assert len(sent) == 1


def test_of_two_operators_the_later_is_told_what_happened(sign_in: Callable[..., Page], shop: Shop) -> None:
    wang, li, ticket = sign_in("小王"), sign_in("小李"), shop.complains()
    for page in (wang, li):
        open_case(page, "待审批", ticket.id)
    tap(wang, "同意")
    tap(li, "拒绝")
    li.locator("#note").fill("不像真的")
    confirm(wang)
    expect(wang.locator("#state")).to_contain_text("已同意")
    confirm(li)
    expect(li.locator("#banner")).to_contain_text("已经变了")
    expect(li.locator("#confirm")).to_be_hidden()
    expect(li.locator("#state")).to_contain_text("已同意")
    assert shop.ticket(ticket.id).status is TicketStatus.APPROVED


def test_an_answer_that_is_lost_does_not_do_it_twice(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, ticket = sign_in(), shop.returns()
    tries: list[str] = []

    def lose(route: Route) -> None:
        tries.append(str(route.request.post_data_json))
        if len(tries) == 1:
            route.fetch()  # done, but nobody hears of it
            route.abort()
        else:
            route.continue_()

    open_case(page, "待收货", ticket.id)
    page.route("**/goods", lose)
    tap(page, "收到退货")
    confirm(page)
    expect(page.locator("#problem")).to_contain_text("不会办两遍")
    confirm(page)
    expect(page.locator("#state")).to_contain_text("已收到退货")
    assert len(tries) == 2
    assert len(set(tries)) == 1
    assert [event.status for event in shop.ticket(ticket.id).history].count(TicketStatus.GOODS_RECEIVED) == 1


def test_a_part_of_the_money_goes_back_and_then_the_rest(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, ticket = sign_in(), shop.complains()
    open_case(page, "待审批", ticket.id)
    tap(page, "同意")
    confirm(page)
    tap(page, "退款")
    for wrong in ("399.01", "0", "一百", "", "-1", "1e2", "12.345"):
        page.locator("#amount").fill(wrong)
        confirm(page)
        expect(page.locator("#problem")).to_contain_text("¥399.00")
    page.locator("#amount").fill("99.50")
    expect(page.locator("#do")).to_have_text("退款 ¥99.50")
    confirm(page)
    expect(page.locator("#facts .amount")).to_contain_text("¥99.50")
    assert shop.ticket(ticket.id).refunded_cents == 9950
    tap(page, "再退一笔")
    expect(page.locator("#amount")).to_have_value("299.50")
    confirm(page)
    expect(page.locator("#facts .amount")).to_contain_text("¥399.00")
    expect(page.locator("#steps button")).to_have_text(["结案"])


def test_the_same_part_is_not_paid_by_two(sign_in: Callable[..., Page], shop: Shop) -> None:
    wang, li, ticket = sign_in("小王"), sign_in("小李"), shop.complains()
    open_case(wang, "待审批", ticket.id)
    tap(wang, "同意")
    confirm(wang)
    open_case(li, "待退款", ticket.id)
    for page in (wang, li):
        tap(page, "退款")
        page.locator("#amount").fill("50")
    confirm(wang)
    expect(wang.locator("#state")).to_have_text("已退款")
    confirm(li)
    expect(li.locator("#banner")).to_contain_text("已经变了")
    assert shop.ticket(ticket.id).refunded_cents == 5000


def test_fewer_pieces_came_back(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, ticket = sign_in(), shop.returns(pieces=3)
    open_case(page, "待收货", ticket.id)
    tap(page, "收到退货")
    expect(page.get_by_label("完好，可再卖")).to_be_checked()  # nothing was wrong with them
    count = page.get_by_role("spinbutton")
    for wrong in ("4", "0", "", "1.5"):
        count.fill(wrong)
        confirm(page)
        expect(page.locator("#problem")).to_contain_text("件数不对")
    count.fill("2")
    confirm(page)
    expect(page.locator("#facts")).to_contain_text("报了 3 件，收到 2 件")
    expect(page.locator("#facts .amount")).to_contain_text("¥798.00")
    tap(page, "退款")
    confirm(page)
    expect(page.locator("#state")).to_have_text("已退款")
    assert shop.ticket(ticket.id).refunded_cents == 79800


def test_a_parcel_with_a_part_of_the_order(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, order = sign_in(), shop.order({SHOES: 1, LIPSTICK: 1})
    open_case(page, "待发货", order)
    tap(page, "发货")
    page.get_by_label(re.compile("口红.*件数$")).fill("0")
    page.get_by_label("快递公司").fill("顺丰速运")
    page.locator("#tracking").fill("SF30041005")
    confirm(page)
    expect(page.locator("#facts")).to_contain_text("SF30041005")
    expect(page.locator("#state")).to_contain_text("待发货")
    tap(page, "发货")
    expect(page.locator("#pieces li")).to_have_count(1)
    page.locator("#tracking").fill("SF30041006")
    confirm(page)
    expect(page.locator("#state")).to_contain_text("已发货")


def test_an_order_goes_out(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, order = sign_in(), shop.order()
    open_case(page, "待发货", order)
    expect(page.locator("#facts")).to_contain_text("延平路")
    tap(page, "发货")
    confirm(page)
    expect(page.locator("#problem")).to_contain_text("快递公司")
    page.get_by_label("快递公司").fill("顺丰速运")
    page.locator("#tracking").fill("快递")
    confirm(page)
    expect(page.locator("#problem")).to_contain_text("快递单号")
    page.locator("#tracking").fill("sf 2003 1004")
    confirm(page)
    expect(page.locator("#facts")).to_contain_text("SF20031004")
    expect(page.locator("#state")).to_contain_text("已发货")


def test_something_is_found_wherever_it_stands(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, ticket, other = sign_in(), shop.returns(), shop.complains()
    expect(row(page, other.id)).to_be_visible()
    page.locator("#text").fill(ticket.id.lower())
    expect(page.locator("#nothing")).to_contain_text("没有符合条件的")
    page.get_by_role("link", name="在全部售后里找").click()
    expect(row(page, ticket.id)).to_be_visible()
    expect(page.locator("#rows li")).to_have_count(1)
    page.get_by_role("button", name="筛选").click()
    page.get_by_label("类型").select_option("换货")
    expect(page.locator("#nothing")).to_be_visible()
    page.get_by_role("button", name="清除筛选").click()
    expect(row(page, other.id)).to_be_visible()


def test_page_after_page(sign_in: Callable[..., Page], shop: Shop) -> None:
    page, orders = sign_in(), shop.old_orders(60)
    page.locator("#queues").get_by_role("link", name="全部订单").click()
    with page.expect_response("**/office/orders?**text=**"):  # a moment after the last key
        page.locator("#text").fill(orders[0][:9])
    expect(row(page, orders[0])).to_be_visible()
    expect(row(page, orders[-1])).to_have_count(0)
    page.get_by_role("button", name="下一页").click()
    expect(row(page, orders[-1])).to_be_visible()
    expect(page.locator("#place")).to_have_text("第 2 页")
    with page.expect_response("**/office/orders?**"):
        pass  # it looks again, at the same page
    expect(row(page, orders[-1])).to_be_visible()
    page.get_by_role("button", name="上一页").click()
    expect(row(page, orders[0])).to_be_visible()


def test_an_address_opens_what_it_names(sign_in: Callable[..., Page], shop: Shop, gateway: Gateway) -> None:
    page, ticket = sign_in(), shop.complains()
    page.goto(f"{gateway.url}/dashboard/office#tickets/{ticket.id}")
    page.reload()
    expect(page.locator("#what")).to_contain_text(ticket.id)
    page.goto(f"{gateway.url}/dashboard/office#tickets/RT2611110000")
    expect(page.locator("#facts")).to_contain_text("没有这张单")
    page.get_by_role("link", name="待收货").click()
    expect(page.locator("#case")).to_be_hidden()
    page.go_back()
    expect(page.locator("#what")).to_contain_text("RT2611110000")


@pytest.mark.parametrize("size", SIZES)
def test_hostile_words_stay_in_their_place(sign_in: Callable[..., Page], shop: Shop, tmp_path: Path, size: str) -> None:
    page = sign_in(size=size)
    for name, words in NASTY.items():
        ticket = shop.complains(words)
        page.goto(page.url.partition("#")[0] + f"#approval/{ticket.id}")
        expect(page.locator("#facts blockquote")).to_be_attached()
        expect(page.locator("#what")).to_contain_text(ticket.id)
        page.screenshot(path=tmp_path / f"{size} {name}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        wide = page.evaluate(
            "[...document.querySelectorAll('main, main *')].filter((node) => node.clientWidth"
            " && node.getBoundingClientRect().right > innerWidth + 1).map((node) => node.className).slice(0, 5)"
        )
        assert wide == [], name
        assert page.title().endswith("掌柜 · 订单售后")


# ---- two customers who are one ----


@pytest.mark.parametrize("size", SIZES)
def test_two_customers_become_one(sign_in: Callable[..., Page], shop: Shop, size: str) -> None:
    kept, gone = shop.customer(), shop.customer()
    stays = shop.do(lambda _, office: office.place_order(SERVICE, kept, {LIPSTICK: 1}, f"kept {kept}"))
    moves = shop.do(lambda _, office: office.place_order(SERVICE, gone, {SHOES: 1}, f"gone {gone}"))
    page = sign_in(size=size)
    open_case(page, "待发货", stays.id)
    expect(page.locator("#facts")).to_contain_text(kept)
    page.locator("#facts").get_by_role("button", name="和另一位顾客合并").click()
    confirm(page)  # nothing was looked at
    expect(page.locator("#problem")).to_contain_text("先填编号")
    box, look = page.get_by_label("另一位的顾客编号"), page.get_by_role("button", name="看看会并过来什么")
    for wrong, words in ((kept, "同一位"), ("C9", "没有这")):
        box.fill(wrong)
        look.click()
        expect(page.locator("#problem")).to_contain_text(words)
    box.fill(gone)
    look.click()
    for words in (f"{gone}：1 单 ¥399.00", "售后 0（未结 0）", "渠道账号 web", "不能撤销"):
        expect(page.locator("#confirm-facts")).to_contain_text(words)
    expect(page.locator("#problem")).to_be_hidden()
    confirm(page)
    expect(page.locator("#confirm")).to_be_hidden()
    page.goto(page.url.partition("#")[0] + f"#orders/{moves.id}")
    expect(page.locator("#facts")).to_contain_text(kept)
