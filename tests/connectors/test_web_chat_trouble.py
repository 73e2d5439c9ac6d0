"""The web chat when something goes wrong: storage, the network, the server, windows that close, strange words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route, ViewportSize, expect

from mall_adapter import Desk
from mall_adapter.handoff import HandoffReason
from settings import desk_hours
from storage import create_engine
from tests.connectors.conftest import Gateway, aside
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_web_chat import CHROMIUM, Chat, browser  # noqa: F401

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

PHONE = ViewportSize(width=390, height=760)
OFFLINE = "网络断开，正在重连…"
REFUSED = "\u200b退\u0007货"
"""What the gateway does not take."""


@pytest.fixture
def conversations(gateway: Gateway, rasa: FakeRasa) -> Conversations:
    conversations = Conversations(gateway)
    rasa.store = conversations.turn
    return conversations


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:  # noqa: F811
    context = browser.new_context(viewport=PHONE, locale="zh-CN")
    yield context
    context.close()


@pytest.fixture
def open_chat(context: BrowserContext, gateway: Gateway, rasa: FakeRasa) -> Callable[[], Chat]:
    """One more window of the same visitor."""
    return lambda: Chat(context.new_page(), gateway)


def look(chat: Chat) -> None:
    """Its owner comes back to the window."""
    chat.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def someone_says(gateway: Gateway, sender: str, work: Callable[[Desk], Any]) -> None:
    """At the service desk, behind the gateway's back."""

    async def do() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{gateway.database}")
        try:
            await work(Desk(engine, desk_hours()))
        finally:
            await engine.dispose()

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])
        aside(lambda: asyncio.run(do()))


# ---- storage ---------------------------------------------------------------------------------------------------------

BOTH = ["localStorage", "sessionStorage"]
THROW = "() => { throw new DOMException('no', 'SecurityError') }"
ODD_ENTRIES = [
    None,
    7,
    {"id": 1, "text": "x"},
    {"id": "a", "text": 7, "messages": []},
    {"id": "b", "messages": "x"},
    {
        "id": "c",
        "messages": [None, 7, {"custom": {"cards": [None]}}, {"custom": {"table": {"rows": 7}}}, {"buttons": 7}],
    },
    {"id": "d", "position": "x", "messages": []},
]
STATES = [
    '"x"',
    "[]",
    "{{{",
    json.dumps({"entries": ODD_ENTRIES, "after": "x", "thumbs": 7}),
    json.dumps({"entries": {"length": 3}, "after": -1, "thumbs": [1]}),
]
UNSENT = ["{{{", "null", "7", '{"id": 7}', json.dumps({"id": "f" * 32, "text": None, "shown": "x", "at": 1})]
STORAGE = {
    "denied": f"for (const name of {BOTH}) Object.defineProperty(window, name, {{get: {THROW}}})",
    "missing": f"for (const name of {BOTH}) Object.defineProperty(window, name, {{value: null}})",
    "unreadable": f"Storage.prototype.getItem = {THROW}; Storage.prototype.setItem = {THROW}",
    "read only": f"Storage.prototype.setItem = {THROW}",
    "broken later": f"setTimeout(() => (Storage.prototype.setItem = Storage.prototype.getItem = {THROW}), 500)",
    **{
        f"garbage {number}": f"sessionStorage.setItem('zhanggui.2', {json.dumps(value)});"
        f"sessionStorage.setItem('zhanggui', {json.dumps(value)});"
        f"localStorage.setItem('zhanggui.2.{'f' * 32}', {json.dumps(UNSENT[number])})"
        for number, value in enumerate(STATES)
    },
}


@pytest.mark.parametrize("fault", STORAGE)
def test_storage_never_stands_in_the_way(
    context: BrowserContext,
    open_chat: Callable[[], Chat],
    rasa: FakeRasa,
    conversations: Conversations,
    fault: str,
) -> None:
    context.add_init_script(STORAGE[fault])
    chat = open_chat()
    chat.button("我想退货").click()
    chat.hears("收到：我想退货")
    chat.say("在吗")
    chat.hears("收到：在吗")
    expect(chat.banner).to_be_hidden()
    chat.page.reload()  # what the browser does not remember, the server does
    chat.hears("收到：我想退货")
    chat.hears("收到：在吗")
    chat.say("再见")
    chat.hears("收到：再见")
    assert rasa.texts() == ["我想退货", "在吗", "再见"]
    assert chat.faults == []


def test_a_full_storage_keeps_no_older_state(
    context: BrowserContext, open_chat: Callable[[], Chat], rasa: FakeRasa
) -> None:
    chat = open_chat()
    chat.say("第一句")
    chat.hears("收到：第一句")
    chat.page.evaluate(f"void (Storage.prototype.setItem = {THROW})")
    chat.say("第二句")
    chat.hears("收到：第二句")
    assert chat.page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]
    assert chat.faults == []


def test_without_cookies_it_says_what_does_not_work(
    context: BrowserContext, open_chat: Callable[[], Chat], gateway: Gateway, rasa: FakeRasa
) -> None:
    def without_cookies(route: Route, request: Request) -> None:
        headers = {"content-type": "application/json"} if request.method == "POST" else {}
        answer = httpx.request(
            request.method, request.url, content=request.post_data_buffer, headers=headers, trust_env=False
        )
        kept = {name: answer.headers[name] for name in ("content-type", "content-security-policy")}
        route.fulfill(status=answer.status_code, body=answer.content, headers=kept)

    context.route("**/*", without_cookies)
    chat = open_chat()
    expect(chat.banner).to_contain_text("Cookie")
    expect(chat.banner).to_contain_text("转人工")
    chat.say("在吗")
    chat.hears("收到：在吗")
    expect(chat.banner).to_contain_text("Cookie")  # an answer does not take it away
    assert chat.faults == []


# ---- messages that fail ----------------------------------------------------------------------------------------------


class Wire:
    """What lies between the page and the gateway; counts the tries of each message."""

    def __init__(self, page: Page) -> None:
        self.tries: list[tuple[str, str]] = []  # (text, message id)
        self.answers: Callable[[str, int], dict[str, Any] | str | None] = lambda text, tries: None
        page.route("**/api/chat", self._carry)

    def _carry(self, route: Route, request: Request) -> None:
        body = json.loads(request.post_data or "")
        self.tries.append((body["text"], body["message_id"]))
        match self.answers(body["text"], self.of(body["text"])):
            case None:
                route.continue_()
            case "abort":
                route.abort()
            case "silence":
                pass
            case answer:
                assert isinstance(answer, dict)
                route.fulfill(**answer)

    def of(self, text: str) -> int:
        return sum(each == text for each, _ in self.tries)

    def ids(self, text: str) -> set[str]:
        return {message_id for each, message_id in self.tries if each == text}


def refusal(status: int, words: str, **headers: str) -> dict[str, Any]:
    return {"status": status, "json": {"error": {"code": "x", "message": words}}, "headers": headers}


def page_of(status: int) -> dict[str, Any]:
    return {"status": status, "content_type": "text/html", "body": "<html>nginx</html>"}


@pytest.fixture
def hurried(context: BrowserContext, open_chat: Callable[[], Chat]) -> Iterator[Chat]:
    """A window whose clock the test moves on."""
    context.clock.install()
    yield open_chat()


def note(chat: Chat) -> Locator:
    return chat.log.locator(".aside")


def hurry(chat: Chat, wire: Wire, until: Callable[[], bool], limit: int = 200) -> int:
    """Moves the clock on, second by second, until something is so; the seconds that it took."""
    for seconds in range(limit):
        if until():
            return seconds
        chat.page.clock.run_for(1_000)
        chat.page.wait_for_timeout(10)
    raise AssertionError(f"not within {limit} s: {wire.tries}")


def test_a_refused_message_is_set_aside_and_can_be_tried_again_or_deleted(
    open_chat: Callable[[], Chat], rasa: FakeRasa, tmp_path: Path
) -> None:
    chat = open_chat()
    chat.say("你好")
    chat.hears("收到：你好")
    wire = Wire(chat.page)
    chat.say(REFUSED)
    chat.say("在吗")
    chat.hears("收到：在吗")
    expect(note(chat)).to_contain_text("没有发出去")
    expect(note(chat)).to_contain_text("消息里有无法识别的字符")
    chat.page.screenshot(path=tmp_path / "aside.png")
    box = chat.log.get_by_text("退").last.bounding_box(), note(chat).bounding_box()
    assert box[0] and box[1] and 0 <= box[1]["y"] - (box[0]["y"] + box[0]["height"]) < 40  # beside its bubble

    chat.page.reload()
    expect(note(chat)).to_have_count(1)
    chat.button("再试一次").click()
    expect(note(chat)).to_have_count(1)
    assert wire.of(REFUSED) == 2
    assert len(wire.ids(REFUSED)) == 1
    chat.button("删除").click()
    expect(note(chat)).to_have_count(0)
    expect(chat.log.locator(".user-message-text")).to_have_text(["你好", "在吗"])
    chat.page.reload()
    chat.hears("收到：在吗")
    expect(note(chat)).to_have_count(0)
    assert rasa.texts() == ["你好", "在吗"]
    assert [fault for fault in chat.faults if "422" not in fault] == []


def test_a_button_whose_message_was_refused_can_be_tapped_again(open_chat: Callable[[], Chat], rasa: FakeRasa) -> None:
    chat = open_chat()
    wire = Wire(chat.page)
    wire.answers = lambda text, tries: refusal(403, "现在不行。") if tries == 1 else None
    chat.button("我想退货").click()
    expect(note(chat)).to_contain_text("现在不行。")
    chat.button("我想退货").click()
    chat.hears("收到：我想退货")
    assert rasa.texts() == ["我想退货"]


FAULTS: dict[str, tuple[Callable[[str, int], Any], int]] = {
    "500": (lambda text, tries: refusal(500, "掌柜这边出了点问题。"), 4),
    "503": (lambda text, tries: refusal(503, "掌柜暂时走开了。", **{"Retry-After": "5"}), 4),
    "502 of a proxy": (lambda text, tries: page_of(502), 8),
    "a page instead of an answer": (lambda text, tries: page_of(200), 8),
    "JSON that is no answer": (lambda text, tries: {"status": 200, "json": {"messages": None}}, 8),
    "no connection": (lambda text, tries: "abort", 8),
    "429": (lambda text, tries: refusal(429, "消息有点多。", **{"Retry-After": "3"}), 8),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_message_that_always_fails_makes_way(hurried: Chat, rasa: FakeRasa, fault: str) -> None:
    chat, wire = hurried, Wire(hurried.page)
    failing, limit = FAULTS[fault]
    wire.answers = lambda text, tries: failing(text, tries) if text == "有毒" else None
    chat.say("有毒")
    chat.say("在吗")
    moments: list[int] = []
    seconds = 0
    while note(chat).count() == 0:
        seen = wire.of("有毒")
        seconds += hurry(chat, wire, lambda seen=seen: wire.of("有毒") > seen or note(chat).count() > 0)  # type: ignore[misc]
        moments.append(seconds)
    pauses = [later - earlier for earlier, later in pairwise(moments[:-1])]  # the last is when it was set aside
    assert wire.of("有毒") == limit
    assert pauses == sorted(pauses)
    assert len(wire.ids("有毒")) == 1
    hurry(chat, wire, lambda: chat.log.get_by_text("收到：在吗", exact=True).count() == 1)
    assert rasa.texts() == ["在吗"]

    wire.answers = lambda text, tries: None
    chat.button("再试一次").click()
    hurry(chat, wire, lambda: chat.log.get_by_text("收到：有毒", exact=True).count() == 1)
    assert len(wire.ids("有毒")) == 1
    assert rasa.texts() == ["在吗", "有毒"]
    expect(note(chat)).to_have_count(0)


def test_a_gateway_that_is_away_for_a_minute_loses_and_doubles_nothing(hurried: Chat, rasa: FakeRasa) -> None:
    chat, wire = hurried, Wire(hurried.page)
    chat.page.route("**/api/chat/history*", lambda route: route.abort())
    wire.answers = lambda text, tries: "abort"
    chat.say("一")
    chat.say("二")
    expect(chat.banner).to_have_text(OFFLINE)
    for _ in range(65):
        chat.page.clock.run_for(1_000)
        chat.page.wait_for_timeout(5)
    expect(note(chat)).to_have_count(0)
    wire.answers = lambda text, tries: None
    chat.page.unroute("**/api/chat/history*")
    hurry(chat, wire, lambda: chat.log.get_by_text("收到：二", exact=True).count() == 1, 31)
    chat.hears("收到：一")
    expect(chat.banner).to_be_hidden()
    assert rasa.texts() == ["一", "二"]
    assert len(rasa.calls) == 2


def test_a_page_that_is_to_wait_waits(hurried: Chat, rasa: FakeRasa) -> None:
    chat, wire = hurried, Wire(hurried.page)
    wire.answers = lambda text, tries: refusal(429, "慢一点", **{"Retry-After": "20"}) if tries == 1 else None
    chat.say("在吗")
    assert hurry(chat, wire, lambda: wire.of("在吗") == 2) >= 19
    chat.hears("收到：在吗")


def test_an_answer_that_never_comes_is_asked_for_again(hurried: Chat, rasa: FakeRasa) -> None:
    chat, wire = hurried, Wire(hurried.page)
    wire.answers = lambda text, tries: "silence" if tries == 1 else None
    chat.say("在吗")
    hurry(chat, wire, lambda: wire.of("在吗") == 2, 60)
    chat.hears("收到：在吗")
    assert len(wire.ids("在吗")) == 1


def test_an_hour_later_nothing_is_sent_unasked(hurried: Chat, rasa: FakeRasa) -> None:
    chat, wire = hurried, Wire(hurried.page)
    wire.answers = lambda text, tries: "abort"
    chat.say("确认退货")
    expect(chat.banner).to_have_text(OFFLINE)
    wire.answers = lambda text, tries: None
    chat.page.clock.fast_forward(3_700_000)
    chat.page.reload()
    expect(note(chat)).to_contain_text("隔得有点久了")
    assert rasa.calls == []
    chat.button("再试一次").click()
    chat.hears("收到：确认退货")


def test_the_last_words_stay_in_sight_above_a_keyboard(open_chat: Callable[[], Chat], rasa: FakeRasa) -> None:
    chat = open_chat()
    for number in range(12):
        chat.say(f"第{number}句")
        chat.hears(f"收到：第{number}句")
    last = chat.log.get_by_text("收到：第11句", exact=True)
    chat.page.set_viewport_size(ViewportSize(width=390, height=420))
    expect(last).to_be_in_viewport()
    chat.box.fill("一行\n二行\n三行\n四行\n五行")
    expect(last).to_be_in_viewport()
    chat.page.context.set_offline(True)  # the banner
    expect(chat.banner).to_be_visible()
    expect(last).to_be_in_viewport()
    chat.log.evaluate("log => (log.scrollTop = 0)")  # who reads above is left there
    chat.page.set_viewport_size(ViewportSize(width=390, height=760))
    expect(chat.log.get_by_text("您好，我是掌柜")).to_be_in_viewport()


# ---- windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["kept", "denied"])
def test_a_window_closed_in_the_middle_and_opened_again(
    context: BrowserContext,
    open_chat: Callable[[], Chat],
    rasa: FakeRasa,
    conversations: Conversations,
    storage: str,
) -> None:
    if storage == "denied":
        context.add_init_script(STORAGE["denied"])
    chat = open_chat()
    chat.say("你好")
    chat.hears("收到：你好")
    rasa.gate.clear()
    chat.say("ORD12345")
    for _ in range(2):
        assert rasa.arrived.acquire(timeout=20)
    chat.page.close()
    rasa.gate.set()
    again = open_chat()
    again.hears("收到：你好")
    expect(again.log.get_by_text("收到：ORD12345", exact=True)).to_have_count(1, timeout=15_000)
    expect(again.log.locator(".user-message-text")).to_have_text(["你好", "ORD12345"])
    assert rasa.texts() == ["你好", "ORD12345"]


def test_what_was_not_sent_when_the_window_was_closed_is_sent_by_the_next(
    context: BrowserContext, open_chat: Callable[[], Chat], rasa: FakeRasa
) -> None:
    chat = open_chat()
    chat.page.route("**/api/chat", lambda route: route.abort())
    chat.say("一")
    chat.say("二")
    expect(chat.banner).to_have_text(OFFLINE)
    chat.page.close()
    assert rasa.calls == []
    again = open_chat()
    again.hears("收到：一")
    again.hears("收到：二")
    assert rasa.texts() == ["一", "二"]
    assert again.page.evaluate("localStorage.length") == 0


def test_two_windows_show_the_same(
    open_chat: Callable[[], Chat], gateway: Gateway, rasa: FakeRasa, conversations: Conversations
) -> None:
    payload = '/inform{"reason": "dislike"}'
    rasa.answers["我想退货"] = [{"text": "为什么想退呢？", "buttons": [{"title": "不喜欢", "payload": payload}]}]
    rasa.answers[payload] = [{"text": "工单已创建"}]
    one, other = open_chat(), open_chat()
    one.say("我想退货")
    one.hears("为什么想退呢？")
    other.hears("为什么想退呢？")
    other.button("不喜欢").click()
    other.hears("工单已创建")
    one.hears("工单已创建")
    expect(one.button("不喜欢")).to_be_disabled()
    sender = rasa.calls[0].sender
    conversations.operator(sender, "我是小王")
    for chat in (one, other):
        look(chat)
        expect(chat.log.get_by_text("我是小王")).to_have_count(1, timeout=15_000)
    said = ["我想退货", "不喜欢"]
    for chat in (one, other):
        for _ in range(2):
            expect(chat.log.locator(".user-message-text")).to_have_text(said)
            expect(chat.log.locator(".deep-chat-outer-container-role-operator")).to_have_count(1)
            words = [
                text
                for text in chat.log.inner_text().splitlines()
                if text in ("为什么想退呢？", "工单已创建", "我是小王")
            ]
            assert words == ["为什么想退呢？", "工单已创建", "我是小王"]
            chat.page.reload()
            chat.hears("工单已创建")
    third = open_chat()
    expect(third.log.locator(".user-message-text")).to_have_text(said)
    third.hears("工单已创建")
    assert len(rasa.calls) == 2
    assert [one.faults, other.faults, third.faults] == [[], [], []]


def test_two_windows_without_storage_show_the_same(
    context: BrowserContext, open_chat: Callable[[], Chat], rasa: FakeRasa, conversations: Conversations
) -> None:
    context.add_init_script(STORAGE["denied"])
    one, other = open_chat(), open_chat()
    one.say("在吗")
    one.hears("收到：在吗")
    expect(other.log.get_by_text("收到：在吗", exact=True)).to_have_count(1, timeout=15_000)


def test_words_said_at_once_in_two_windows_end_up_in_one_order(
    open_chat: Callable[[], Chat], rasa: FakeRasa, conversations: Conversations
) -> None:
    one, other = open_chat(), open_chat()
    rasa.gate.clear()
    one.say("甲")
    assert rasa.arrived.acquire(timeout=20)
    other.say("乙")
    rasa.gate.set()
    for chat in (one, other):
        chat.hears("收到：甲")
        chat.hears("收到：乙")
        chat.page.reload()
        expect(chat.log.locator(".user-message-text")).to_have_text(["甲", "乙"])
    assert sorted(rasa.texts()) == ["乙", "甲"]


def test_an_idle_window_asks_seldom_and_a_hidden_one_not_at_all(hurried: Chat, rasa: FakeRasa) -> None:
    asked: list[str] = []
    hurried.page.on("request", lambda request: asked.append(request.url))
    hurried.say("在吗")
    hurried.hears("收到：在吗")
    asked.clear()

    def minute() -> int:
        before = len(asked)
        for _ in range(60):
            hurried.page.clock.run_for(1_000)
            hurried.page.wait_for_timeout(5)
        return len(asked) - before

    assert 3 <= minute() <= 7
    hurried.page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    hurried.page.clock.run_for(10_000)
    assert minute() == 0
    hurried.page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    hurried.page.wait_for_timeout(200)
    assert asked


def test_a_person_is_heard_in_every_window(
    open_chat: Callable[[], Chat], gateway: Gateway, rasa: FakeRasa, conversations: Conversations
) -> None:
    rasa.answers["转人工"] = [{"text": "正在为您转接", "custom": {"desk": "waiting"}}]
    one, other = open_chat(), open_chat()
    one.say("你好")
    one.hears("收到：你好")
    sender = rasa.calls[0].sender
    someone_says(gateway, sender, lambda desk: desk.request(sender, HandoffReason.ASKED, sender))
    one.say("转人工")
    for chat in (one, other):
        chat.hears("正在为您转接")
    conversations.operator(sender, "我是小王")
    for chat in (one, other):
        expect(chat.log.get_by_text("我是小王", exact=True)).to_have_count(1)  # soon
    rasa.answers["在吗"] = []
    one.say("在吗")
    expect(other.log.locator(".user-message-text").last).to_have_text("在吗")
    expect(one.log.get_by_text("已转给人工客服")).to_have_count(0)


# ---- a person's links ------------------------------------------------------------------------------------------------

LINKS = {
    "看 https://shop.example/a?b=1#c 吧": ["https://shop.example/a?b=1#c"],
    "https://shop.example/a，谢谢": ["https://shop.example/a"],
    "https://shop.example/a。": ["https://shop.example/a"],
    "（https://shop.example/a）": ["https://shop.example/a"],
    "(https://shop.example/a)": ["https://shop.example/a"],
    "https://zh.example/A_(B)": ["https://zh.example/A_(B)"],
    "点https://shop.example/a看看": ["https://shop.example/a"],
    "https://a.example.https://b.example": ["https://a.example.https://b.example"],
    "http://a.example、HTTPS://B.example/C！": ["http://a.example", "HTTPS://B.example/C"],
    "https://a.example/x.": ["https://a.example/x"],
    'https://a.example/"onclick="x': ["https://a.example/"],
    "https://a.example/<img src=x onerror=alert(1)>": ["https://a.example/"],
    "https://a.example/\u202egpj.exe": ["https://a.example/"],
    "javascript:alert(1) data:text/html,x vbscript:x ftp://a.example file:///etc/passwd": [],
    "javascript:alert(1)//http://": [],
    "https://bank.example@evil.example/": [],
    "https://user:pass@evil.example/": [],
    "http:// https:///": [],
    "www.shop.example ORD12345 13800005678": [],
}


def test_which_addresses_are_links(open_chat: Callable[[], Chat]) -> None:
    found = open_chat().page.evaluate(
        "async (texts) => { const { linked } = await import('/static/links.js');"
        "return texts.map((text) => { const parts = linked(text);"
        "return [parts.filter((part) => part.href).map((part) => part.textContent),"
        " parts.map((part) => part.textContent ?? part).join('')]; }) }",
        list(LINKS),
    )
    assert [links for links, _ in found] == list(LINKS.values())
    assert [text for _, text in found] == list(LINKS)


def test_a_persons_links_can_be_tapped_and_nothing_else_happens(
    open_chat: Callable[[], Chat],
    context: BrowserContext,
    gateway: Gateway,
    rasa: FakeRasa,
    conversations: Conversations,
) -> None:
    chat = open_chat()
    chat.say("https://mine.example/a")
    chat.hears("收到：https://mine.example/a")
    picture = f"{gateway.url}/static/avatar.svg"
    words = f"<img src=x onerror=\"document.title='pwned'\"> {picture}，订单 ORD12345 javascript:alert(1)"
    conversations.operator(rasa.calls[0].sender, words)
    look(chat)
    link = chat.log.get_by_role("link")
    expect(link).to_have_count(1, timeout=15_000)
    expect(link).to_have_attribute("href", picture)
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(chat.log.locator(".words")).to_have_text(words)
    expect(chat.log.locator("img[src=x]")).to_have_count(0)
    with context.expect_page() as opened:
        link.click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("window.opener") is None
    assert chat.page.title() == "掌柜 · 在线客服"
    assert chat.faults == []


# ---- hostile words ---------------------------------------------------------------------------------------------------

NASTY = {
    "html": "</p></button><script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">",
    "right to left": "\u202e\u2066退货\u2067 abc \u202d123",
    "a long word": "超" * 60 + "W" * 500,
    "ten thousand characters": "很长的话 " * 2_000,
    "emoji": "👨‍👩‍👧‍👦🏳️‍🌈🇨🇳" * 40,
    "accents": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢" * 30,
}


@pytest.mark.parametrize("width", [320, 1280])
def test_hostile_words_stay_words_and_in_their_place(
    browser: Browser,  # noqa: F811
    gateway: Gateway,
    rasa: FakeRasa,
    conversations: Conversations,
    tmp_path: Path,
    width: int,
) -> None:
    context = browser.new_context(viewport=ViewportSize(width=width, height=760), locale="zh-CN")
    chat = Chat(context.new_page(), gateway)
    for name, words in NASTY.items():
        button = {"title": words[:600], "payload": f"/tap {name}"}
        card = {"title": words[:600], "text": words[:600], "image": "/static/avatar.svg", "button": button}
        rows = {"columns": ["", words[:600], words[:600]], "rows": [[words[:80], words[:600], "1"]]}
        source = {"id": name, "title": words[:600], "valid_until": words[:100]}
        rasa.answers[name] = [
            {"text": words, "buttons": [button]},
            {"custom": {"cards": [card] * 3}},
            {"custom": {"table": rows}},
            {"text": "完", "custom": {"source": source}},
        ]
        chat.say(name)
        expect(chat.log.get_by_text("来源", exact=True)).to_have_count(1 + list(NASTY).index(name))
        chat.log.get_by_text("来源", exact=True).last.click()
        chat.page.screenshot(path=tmp_path / f"{width} {name}.png")
        conversations.operator(rasa.calls[0].sender, words)
    look(chat)
    for _ in range(2):
        expect(chat.log.locator(".words")).to_have_count(len(NASTY), timeout=15_000)
        assert chat.log.evaluate("log => log.scrollWidth <= log.clientWidth")
        assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        chat.page.reload()
    assert chat.page.title() == "掌柜 · 在线客服"
    assert (chat.outside, chat.faults) == ([], [])
    context.close()
