"""The web chat in a real browser, as wide as a phone and as a desktop."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Route,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.connectors.conftest import JUDGED, Gateway
from tests.connectors.fake_rasa import FakeRasa

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ARGUMENTS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
WIDTHS = {"phone": ViewportSize(width=360, height=740), "desktop": ViewportSize(width=1280, height=800)}
in_both_widths = pytest.mark.parametrize("chat", list(WIDTHS), indirect=True)
"""What a test says for which the width matters."""

REASONS: list[dict[str, Any]] = [
    {
        "text": "好的，ORD12345 这双跑步鞋，为什么想退呢？",
        "buttons": [
            {"title": "颜色/款式不喜欢", "payload": '/inform{"reason": "dislike"}'},
            {"title": "尺码不合适", "payload": '/inform{"reason": "wrong_size"}'},
        ],
    }
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Chat:
    """One visitor's page, by what a person sees and does."""

    def __init__(self, page: Page, gateway: Gateway) -> None:
        self.page = page
        self.outside: list[str] = []
        self.faults: list[str] = []
        page.on("request", lambda request: self._watch(request, gateway.port))
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._listen)
        page.goto(gateway.url)
        expect(self.box).to_be_visible()

    def _listen(self, line: ConsoleMessage) -> None:
        if line.type == "error":
            self.faults.append(line.text)

    def _watch(self, request: Request, port: int) -> None:
        if not request.url.startswith(("data:", "blob:")) and urlsplit(request.url).netloc != f"127.0.0.1:{port}":
            self.outside.append(request.url)

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox")

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def banner(self) -> Locator:
        return self.page.get_by_role("status")

    def button(self, title: str) -> Locator:
        return self.page.get_by_role("button", name=title)

    def say(self, text: str) -> None:
        self.box.fill(text)
        self.box.press("Enter")

    def hears(self, text: str) -> None:
        expect(self.log.get_by_text(text, exact=True)).to_have_count(1)


@pytest.fixture
def chat(request: pytest.FixtureRequest, browser: Browser, gateway: Gateway, rasa: FakeRasa) -> Iterator[Chat]:
    """As wide as a phone, if a test says nothing else."""
    width = WIDTHS[getattr(request, "param", "phone")]
    context = browser.new_context(viewport=width, locale="zh-CN", has_touch=width["width"] < 640)
    yield Chat(context.new_page(), gateway)
    context.close()


@in_both_widths
def test_a_return_by_words_and_buttons(chat: Chat, rasa: FakeRasa, tmp_path: Path) -> None:
    rasa.answers["我想退货"] = [{"text": "没问题，请提供订单号（ORD 开头）。"}]
    rasa.answers["ORD12345"] = [*REASONS, {"image": "/static/avatar.svg"}]
    payload = '/inform{"reason": "dislike"}'
    rasa.answers[payload] = [{"text": "工单已创建，预计3个工作日内处理"}]
    chat.page.screenshot(path=tmp_path / "1-start.png")

    chat.button("我想退货").click()
    chat.hears("没问题，请提供订单号（ORD 开头）。")
    chat.say("ORD12345")
    expect(chat.button("尺码不合适")).to_be_enabled()
    picture = chat.log.get_by_role("img", name="图片")
    expect(picture).to_be_visible()
    chat.page.screenshot(path=tmp_path / "2-buttons.png")

    rasa.gate.clear()
    chat.button("颜色/款式不喜欢").click()
    expect(chat.button("尺码不合适")).to_be_disabled()  # at once: a second tap does nothing
    rasa.gate.set()
    chat.hears("工单已创建，预计3个工作日内处理")
    chat.page.screenshot(path=tmp_path / "3-done.png")

    assert rasa.texts() == ["我想退货", "ORD12345", payload]
    expect(chat.log.get_by_text(payload)).to_have_count(0)  # the customer sees what was tapped, not what was sent
    assert len({call.sender for call in rasa.calls}) == 1
    assert (chat.outside, chat.faults) == ([], [])
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@in_both_widths
def test_words_stay_words(chat: Chat, rasa: FakeRasa) -> None:
    attack = (
        "<img src=x onerror=\"document.title='pwned'\"> **粗** [点](javascript:document.title='pwned') ![](/healthz)"
    )
    rasa.answers[attack] = [{"text": f"您说 {attack}", "buttons": [{"title": "<b>好</b>", "payload": "好"}]}]
    chat.say(attack)
    chat.hears(f"您说 {attack}")
    chat.hears(attack)
    expect(chat.button("<b>好</b>")).to_be_visible()
    expect(chat.log.locator("a, b, strong, img[src=x], img[src='/healthz']")).to_have_count(0)
    chat.page.reload()
    chat.hears(attack)
    assert chat.page.title() == "掌柜 · 在线客服"
    assert (chat.outside, chat.faults) == ([], [])


def test_a_lost_connection_is_shown_and_mended(chat: Chat, rasa: FakeRasa, tmp_path: Path) -> None:
    chat.page.context.set_offline(True)
    expect(chat.banner).to_have_text("网络断开，正在重连…")
    chat.say("在吗")
    chat.say("有人吗")
    expect(chat.log.get_by_text("有人吗", exact=True)).to_be_visible()
    chat.page.screenshot(path=tmp_path / "4-offline.png")
    assert rasa.calls == []

    chat.page.context.set_offline(False)
    chat.hears("收到：在吗")
    chat.hears("收到：有人吗")
    expect(chat.banner).to_be_hidden()
    assert rasa.texts() == ["在吗", "有人吗"]


def test_an_answer_lost_on_its_way_is_asked_for_again_under_the_same_id(chat: Chat, rasa: FakeRasa) -> None:
    ids: list[str] = []

    def lose_the_first(route: Route, request: Request) -> None:
        ids.append(json.loads(request.post_data or "")["message_id"])
        if len(ids) == 1:
            route.fetch()  # the gateway gets it and answers, but …
            route.abort()
        else:
            route.continue_()

    chat.page.route("**/api/chat", lose_the_first)
    chat.say("我想退货")
    chat.hears("收到：我想退货")
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert rasa.texts() == ["我想退货"]


def test_a_message_under_way_survives_a_reload(chat: Chat, rasa: FakeRasa) -> None:
    rasa.answers["ORD12345"] = REASONS
    chat.say("你好")
    chat.hears("收到：你好")
    rasa.gate.clear()
    chat.say("ORD12345")
    assert rasa.arrived.acquire(timeout=60)
    assert rasa.arrived.acquire(timeout=60)
    chat.page.reload()
    rasa.gate.set()
    chat.hears("收到：你好")
    chat.hears(REASONS[0]["text"])
    assert rasa.texts() == ["你好", "ORD12345"]

    chat.page.reload()
    expect(chat.button("尺码不合适")).to_be_enabled()  # not used yet
    expect(chat.button("我想退货")).to_be_disabled()
    assert len({call.sender for call in rasa.calls}) == 1


def test_a_bot_that_is_away_is_said_and_asked_again(chat: Chat, rasa: FakeRasa) -> None:
    rasa.failures[:] = [500]
    chat.say("在吗")
    expect(chat.banner).to_contain_text("掌柜暂时走开了")
    chat.hears("收到：在吗")
    expect(chat.banner).to_be_hidden()


def test_a_refused_message_is_explained_and_the_next_one_works(chat: Chat, rasa: FakeRasa) -> None:
    chat.say("\u200b退\u0007货")
    expect(chat.log.get_by_text("消息里有无法识别的字符")).to_be_visible()
    chat.say("在吗")
    chat.hears("收到：在吗")
    assert rasa.texts() == ["在吗"]


def test_typing_is_shown_until_the_answer_comes(chat: Chat, rasa: FakeRasa) -> None:
    rasa.gate.clear()
    chat.say("在吗")
    typing = chat.page.locator(".loading-message-dots")
    expect(typing).to_be_visible()
    rasa.gate.set()
    chat.hears("收到：在吗")
    expect(typing).to_have_count(0)


def test_enter_that_chooses_a_word_does_not_send(chat: Chat, rasa: FakeRasa) -> None:
    chat.box.focus()
    keyboard = chat.page.context.new_cdp_session(chat.page)
    keyboard.send("Input.imeSetComposition", {"text": "tuihuo", "selectionStart": 6, "selectionEnd": 6})
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    keyboard.send("Input.insertText", {"text": "退货"})
    expect(chat.box).to_have_text("退货")
    # as Safari reports it: the composition is over, and only the key code tells
    chat.box.evaluate(
        "box => box.dispatchEvent(new KeyboardEvent('keydown', "
        "{key: 'Enter', keyCode: 229, bubbles: true, composed: true, cancelable: true}))"
    )
    expect(chat.box).to_have_text("退货")
    chat.box.press("Enter")
    chat.hears("收到：退货")
    assert rasa.texts() == ["退货"]


def test_the_page_speaks_to_screen_readers(chat: Chat) -> None:
    expect(chat.log).to_have_attribute("aria-live", "polite")
    expect(chat.box).to_have_attribute("aria-label", re.compile("写在这里"))
    expect(chat.page.get_by_role("heading", name="掌柜 · 在线客服")).to_be_visible()
    expect(chat.button("发送")).to_be_visible()


@in_both_widths
def test_goods_and_a_comparison(chat: Chat, rasa: FakeRasa, tmp_path: Path) -> None:
    goods: list[dict[str, Any]] = [
        {
            "title": f"禾炊 电水壶 1.{number} L",
            "text": f"¥{99 + number} 起 · 不锈钢",
            "image": "/static/avatar.svg",
            "button": {"title": f"看 {number} 号", "payload": f"/look_{number}"},
        }
        for number in range(5)
    ]
    columns = ["", *(one["title"] for one in goods[:3])]
    rows = [["续航", "8 h", "6 h", "7 h"], ["<b>重</b>", "1.2 kg", "0.9 kg", "一公斤多一点点，带底座称的"]]
    rasa.answers["推荐电水壶"] = [{"text": "这几款您看看：", "custom": {"cards": goods}}]
    rasa.answers["/look_4"] = [{"text": "它们的差别：", "custom": {"table": {"columns": columns, "rows": rows}}}]
    chat.say("推荐电水壶")
    chat.hears("这几款您看看：")
    expect(chat.log.get_by_role("article")).to_have_count(5)
    chat.page.screenshot(path=tmp_path / "5-goods.png")
    chat.button("看 4 号").click()  # scrolled to
    expect(chat.log.get_by_role("columnheader")).to_have_text(columns)
    expect(chat.log.get_by_role("rowheader")).to_have_text(["续航", "<b>重</b>"])
    expect(chat.log.get_by_role("cell", name="0.9 kg")).to_have_count(1)
    expect(chat.button("看 0 号")).to_be_disabled()
    chat.page.screenshot(path=tmp_path / "6-table.png")
    assert rasa.texts() == ["推荐电水壶", "/look_4"]
    chat.page.reload()
    expect(chat.log.get_by_role("article")).to_have_count(5)
    expect(chat.log.get_by_role("table")).to_have_count(1)
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (chat.outside, chat.faults) == ([], [])


@in_both_widths
def test_where_an_answer_comes_from(chat: Chat, rasa: FakeRasa, tmp_path: Path) -> None:
    source = {"id": "no_reason_return", "title": "无理由退货的条件", "valid_until": "2027-12-31", "score": 0.87}
    buttons = [{"title": "申请退货", "payload": "/request_return"}]
    rasa.answers["能退吗"] = [
        {"text": "签收后 7 天内、不影响二次销售，可以无理由退。", "custom": {"source": source}, "buttons": buttons}
    ]
    chat.say("能退吗")
    chat.page.screenshot(path=tmp_path / "7-source.png")
    expect(chat.log.get_by_text("有效期至 2027-12-31")).to_be_hidden()
    chat.log.get_by_text("来源", exact=True).click()
    expect(chat.log.get_by_text("有效期至 2027-12-31")).to_be_visible()
    expect(chat.log.get_by_text("无理由退货的条件")).to_be_visible()
    chat.page.screenshot(path=tmp_path / "8-source-open.png")
    assert (chat.outside, chat.faults) == ([], [])


@pytest.fixture
def reader(browser: Browser, house: Gateway, rasa: FakeRasa) -> Iterator[Chat]:
    """A visitor of the house that knows something, with an answer before them."""
    rasa.answers["能退吗"] = [{"text": "可以", "custom": {"source": {"id": JUDGED.id, "title": JUDGED.title}}}]
    context = browser.new_context(viewport=WIDTHS["phone"], locale="zh-CN")
    chat = Chat(context.new_page(), house)
    chat.say("能退吗")
    yield chat
    context.close()


def test_a_thumb_is_kept_and_can_be_changed(reader: Chat, tmp_path: Path) -> None:
    up, down = reader.button("有用"), reader.button("没用")
    for tapped, other in ((up, down), (down, up)):
        with reader.page.expect_response("**/api/feedback") as response:
            tapped.click()
        assert response.value.status == 204
        expect(tapped).to_have_attribute("aria-pressed", "true")
        expect(other).to_have_attribute("aria-pressed", "false")
        expect(other).to_be_enabled()
    reader.page.screenshot(path=tmp_path / "9-thumb.png")
    reader.page.reload()
    expect(down).to_have_attribute("aria-pressed", "true")
    reader.say("能退吗")  # the same answer once more: the thumb is there already
    expect(down).to_have_count(2)
    expect(down.last).to_have_attribute("aria-pressed", "true")
    assert (reader.outside, reader.faults) == ([], [])


def test_a_thumb_that_does_not_arrive_is_taken_back(chat: Chat, rasa: FakeRasa, tmp_path: Path) -> None:
    """This gateway's graph is down."""
    rasa.answers["能退吗"] = [{"text": "可以", "custom": {"source": {"id": "no_reason_return", "title": "条件"}}}]
    chat.say("能退吗")
    chat.button("有用").click()
    expect(chat.banner).to_contain_text("暂时")
    chat.page.screenshot(path=tmp_path / "10-thumb-lost.png")
    expect(chat.button("有用")).to_have_attribute("aria-pressed", "false")
    chat.say("在吗")
    chat.hears("收到：在吗")
    expect(chat.banner).to_be_hidden()
