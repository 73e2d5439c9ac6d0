"""The operators' desk in a real browser: lists that change while somebody points, reads, selects and types."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect

from mall_adapter import Desk
from mall_adapter.actors import SHELL
from mall_adapter.handoff import ComplaintKind, HandoffReason
from settings import desk_hours
from storage import create_engine
from tests.connectors.conftest import Gateway, aside
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_web_chat import CHROMIUM, browser  # noqa: F401
from tests.connectors.test_web_chat_trouble import NASTY

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

POLL = 1_500
"""ms between two looks of the page."""


class House:
    """What happens at the service desk, behind the gateway's back."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __call__(self, work: Callable[[Desk], Awaitable[Any]]) -> Any:
        async def do() -> Any:
            engine = create_engine(f"sqlite+aiosqlite:///{self._gateway.database}")
            try:
                return await work(Desk(engine, desk_hours()))
            finally:
                await engine.dispose()

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KEYRING_FILE", self._gateway.environment["KEYRING_FILE"])
            return aside(lambda: asyncio.run(do()))

    def asks(self, sender: str | None = None, reason: HandoffReason = HandoffReason.ASKED) -> tuple[str, int]:
        """Somebody who waits: the sender and the hand-off's id."""
        sender = sender or f"web:{uuid4()}"
        return sender, self(lambda desk: desk.request(sender, reason, sender)).id

    def misses(self, text: str, guesses: Sequence[tuple[str, float]] = ()) -> None:
        """Something that the bot did not understand."""
        self(lambda desk: desk.note_misunderstood("web:x", text, guesses, str(uuid4())))

    def complains(self, sender: str, words: str, order_id: str | None = None) -> None:
        kind = ComplaintKind.COURIER
        self(lambda desk: desk.note_complaint(sender, kind, words, str(uuid4()), order_id=order_id))

    def claims(self, handoff: int, operator: str) -> None:
        async def claim(desk: Desk) -> None:
            await desk.claim(await desk.operator(operator, "dashboard"), handoff)

        self(claim)


@pytest.fixture
def house_desk(gateway: Gateway) -> House:
    return House(gateway)


@pytest.fixture
def page(browser: Browser, gateway: Gateway, rasa: FakeRasa) -> Iterator[Page]:  # noqa: F811
    context = browser.new_context(viewport=ViewportSize(width=1280, height=800), locale="zh-CN")
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{gateway.url}/dashboard")
    page.get_by_label("您的称呼").fill("小王")
    page.get_by_label("口令").fill(Path(gateway.environment["DATA_DIR"], "admin_token").read_text().strip())
    page.get_by_role("button", name="登录").click()
    yield page
    context.close()
    assert faults == []


def row(page: Page, handoff: int) -> Locator:
    return page.locator(f".handoff[data-id='{handoff}']")


def looks(page: Page, times: int = 2) -> None:
    """Until the page has looked again so often."""
    for _ in range(times):
        with page.expect_response("**/dashboard/api/handoffs"):
            pass


def test_a_tap_counts_though_the_list_changes_under_it(page: Page, house_desk: House) -> None:
    _, first = house_desk.asks()
    _, mine = house_desk.asks()
    expect(row(page, mine)).to_be_visible()
    row(page, mine).hover()
    page.mouse.down()
    house_desk.claims(first, "小李")
    house_desk(lambda desk: desk.hand_back(SHELL, first, True))  # the one above goes
    _, later = house_desk.asks()
    looks(page)
    page.mouse.up()
    expect(page.locator("#who")).to_have_text(f"网页顾客 #{mine}")
    expect(row(page, first)).to_have_count(0)
    expect(row(page, later)).to_be_visible()


def test_rows_stay_the_same_while_what_they_say_changes(page: Page, house_desk: House) -> None:
    sender, mine = house_desk.asks()
    row(page, mine).evaluate("node => (node.mark = 'same')")
    row(page, mine).focus()
    row(page, mine).evaluate("node => getSelection().selectAllChildren(node)")
    selected = page.evaluate("String(getSelection())")
    house_desk.asks()
    looks(page)
    assert page.evaluate("String(getSelection())") == selected
    house_desk.claims(mine, "\u202e小李")
    expect(row(page, mine)).to_contain_text("正在服务")
    assert row(page, mine).evaluate("node => [node.mark, node === document.activeElement]") == ["same", True]
    assert house_desk(lambda desk: desk.live(sender)).operator == "\u202e小李"


def test_other_lists_keep_their_rows_too(page: Page, house_desk: House) -> None:
    words = [f"没听懂 {uuid4()}" for _ in range(3)]
    for text in words[:2]:
        house_desk.misses(text)
    page.get_by_role("link", name="待训练").click()
    message = page.locator(".message", has_text=words[0])
    message.evaluate("node => { node.mark = 'same'; getSelection().selectAllChildren(node.firstChild) }")
    message.get_by_role("button").hover()
    page.mouse.down()
    house_desk.misses(words[2])  # comes above
    looks(page)
    page.mouse.up()
    expect(message).to_have_count(0)
    expect(page.locator(".message", has_text=words[2])).to_be_visible()

    sender = f"web:{uuid4()}"
    house_desk.complains(sender, f"骂人 {words[0]}")
    page.get_by_role("link", name="投诉").click()
    complaint = page.locator(".message", has_text=words[0])
    complaint.evaluate("node => (node.mark = 'same')")
    house_desk.complains(sender, "还摔东西", "ORD12345")
    expect(complaint).to_contain_text("还摔东西")
    expect(complaint).to_contain_text("ORD12345")
    assert complaint.evaluate("node => node.mark") == "same"


def test_the_focus_goes_to_the_next_when_a_row_is_done(page: Page, house_desk: House) -> None:
    texts = [f"没听懂 {uuid4()}" for _ in range(2)]
    for text in texts:
        house_desk.misses(text)
    page.get_by_role("link", name="待训练").click()
    page.locator(".message", has_text=texts[1]).get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".message", has_text=texts[1])).to_have_count(0)
    expect(page.locator(".message", has_text=texts[0]).get_by_role("button")).to_be_focused()


def test_what_is_half_typed_stays_with_its_customer(page: Page, house_desk: House) -> None:
    (_, one), (_, other) = house_desk.asks(), house_desk.asks()
    for handoff in (one, other):
        house_desk.claims(handoff, "小王")
    box = page.get_by_label("回复顾客")
    row(page, one).click()
    expect(box).to_be_visible()
    box.press_sequentially("您的包裹")
    box.evaluate("box => box.setSelectionRange(1, 3)")
    house_desk.asks()
    looks(page)
    assert box.evaluate("box => [box.selectionStart, box.selectionEnd]") == [1, 3]
    expect(box).to_be_focused()
    row(page, other).click()
    expect(box).to_have_value("")
    box.fill("另一位")
    row(page, one).click()
    expect(box).to_have_value("您的包裹")
    page.reload()
    row(page, other).click()
    expect(box).to_be_visible()
    expect(box).to_have_value("另一位")
    box.press("Enter")
    expect(box).to_have_value("")
    row(page, one).click()
    expect(box).to_have_value("您的包裹")


def test_an_operators_links_on_the_operators_pages(
    page: Page, gateway: Gateway, house_desk: House, rasa: FakeRasa
) -> None:
    sender, mine = house_desk.asks()
    conversations = Conversations(gateway)
    conversations.heard(sender, "我的 https://evil.example/x")
    words = "<b>看</b>https://shop.example/a，javascript:alert(1)"
    conversations.operator(sender, words)
    row(page, mine).click()
    link = page.locator("#lines").get_by_role("link")
    expect(link).to_have_attribute("href", "https://shop.example/a")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(page.locator("#lines .operator p")).to_have_text(words)
    page.goto(f"{gateway.url}{page.locator('#trace').get_attribute('href')}")
    link = page.locator(".line").get_by_role("link")
    expect(link).to_have_attribute("href", "https://shop.example/a")


def test_a_page_that_is_opened_while_the_gateway_is_away_comes_to_life(page: Page, house_desk: House) -> None:
    _, mine = house_desk.asks()
    tries: list[Route] = []
    seen = False

    def away(route: Route) -> None:
        tries.append(route)
        if len(tries) == 1:
            route.abort()
        elif len(tries) == 2 or not seen:
            route.fulfill(status=502, content_type="text/html", body="<html>nginx</html>")
        else:
            route.continue_()

    page.route("**/dashboard/api/session", away)
    page.reload()
    expect(page.get_by_role("status").filter(has_text="连接断开")).to_be_visible()
    seen = True
    expect(row(page, mine)).to_be_visible(timeout=15_000)
    expect(page.locator("#banner")).to_be_hidden()
    assert len(tries) > 2


@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_words_stay_in_their_place(
    page: Page, gateway: Gateway, house_desk: House, rasa: FakeRasa, tmp_path: Path, width: int
) -> None:
    page.set_viewport_size(ViewportSize(width=width, height=800))
    sender, mine = house_desk.asks(reason=HandoffReason.COMPLAINT)
    conversations = Conversations(gateway)
    for name, words in NASTY.items():
        conversations.heard(sender, words)
        conversations.operator(sender, words)
        house_desk.misses(words, [(words, 0.5)])
        house_desk.complains(f"web:{name} {width}", words)
    house_desk.claims(mine, "\u202e" + "W" * 19)
    row(page, mine).click()
    expect(page.locator("#lines .line")).to_have_count(2 * len(NASTY))
    conversation = page.locator("#trace").get_attribute("href")
    for address, seen in (
        (None, "#lines .line"),
        ("/dashboard#review", "#messages .message"),
        ("/dashboard#complaints", "#grievances .message"),
        (conversation, ".turn"),
    ):
        if address:
            page.goto(gateway.url + address)
        expect(page.locator(seen).nth(len(NASTY) - 1)).to_be_attached()
        page.screenshot(path=tmp_path / f"{width} {seen[:3]}{seen.count('g')}.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), seen
        wide = page.evaluate(
            "[...document.querySelectorAll('main, main *')].filter((node) => node.clientWidth && !node.closest('nav')"
            " && node.getBoundingClientRect().right > innerWidth + 1).map((node) => node.className).slice(0, 5)"
        )
        assert wide == [], seen
        assert page.title().endswith(("掌柜 · 人工客服台", "掌柜 · 对话经过"))
