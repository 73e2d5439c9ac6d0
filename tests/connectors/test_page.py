"""The web chat's page for everybody: contrast, keyboard, screen readers, large type, two languages, an app."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from connectors.web import languages
from tests.connectors.conftest import Gateway
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_web_chat import CHROMIUM, Chat, browser  # noqa: F401
from tests.connectors.test_web_chat_trouble import look

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

EVERYTHING: list[dict[str, Any]] = [
    {
        "text": "好的，为什么想退呢？",
        "custom": {"source": {"id": "x", "title": "退货条件", "valid_until": "2027-01-01"}},
    },
    {
        "custom": {
            "cards": [
                {
                    "title": "电水壶",
                    "text": "¥99",
                    "image": "/static/avatar.svg",
                    "button": {"title": "看", "payload": "看"},
                }
            ]
        }
    },
    {"custom": {"table": {"columns": ["", "甲", "乙"], "rows": [["容量", "1 L", "2 L"]]}}},
    {"text": "选一个", "buttons": [{"title": "不喜欢", "payload": "不喜欢"}]},
]

LEGIBLE = """() => {
  const channel = (value) => ((value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const colours = (css) => (css.match(/rgba?\\([^)]*\\)/g) ?? []).map((each) => each.match(/[\\d.]+/g).map(Number));
  const parent = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host;
  const behind = (node) => {
    for (let each = node; each; each = parent(each)) {
      const { backgroundImage, backgroundColor } = getComputedStyle(each);
      const painted = colours(backgroundImage).filter((colour) => colour.length < 4);
      if (painted.length) return painted;
      const [colour] = colours(backgroundColor);
      if (colour && (colour[3] ?? 1) === 1) return [colour];
    }
    return [matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255]];
  };
  const ratio = (one, other) => {
    const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  };
  const faults = [];
  const check = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) check(node.shadowRoot);
      const own = [...node.childNodes].some((each) => each.nodeType === 3 && each.textContent.trim());
      const box = node.getBoundingClientRect();
      if (!own || node.closest(":disabled, script, style, .unseen") || !box.width || !box.height) continue;
      const [colour] = colours(getComputedStyle(node).color);
      const worst = Math.min(...behind(node).map((each) => ratio(colour, each)));
      const name = `${node.tagName}.${node.className} ${node.textContent.slice(0, 20)}`;
      if (worst < 4.5) faults.push(`${name}: ${worst.toFixed(2)}`);
    }
  };
  check(document);
  return faults;
}"""
"""Texts whose contrast is below WCAG's AA, also inside shadow roots."""

NAMELESS = """() => {
  const faults = [];
  const check = (root) => {
    for (const node of root.querySelectorAll("*")) {
      if (node.shadowRoot) check(node.shadowRoot);
      const usable = node.matches("a, button, input:not([hidden]), [role=textbox], [tabindex='0'], [role=button]");
      const name = node.ariaLabel || node.textContent.trim() || node.title;
      if (usable && node.getClientRects().length && !name) faults.push(node.outerHTML.slice(0, 120));
      if (node.matches("img:not([alt])")) faults.push(node.outerHTML.slice(0, 120));
      const { width, height } = node.getBoundingClientRect();
      const small = width && Math.min(width, height) < 24;
      if (small && node.matches("a:not(.words a), button")) faults.push(`small: ${node.outerHTML.slice(0, 120)}`);
    }
  };
  check(document);
  return faults;
}"""
"""What can be used and has no name, or is smaller than WCAG's AA wants; pictures without a text."""


@pytest.fixture
def open_chat(browser: Browser, gateway: Gateway, rasa: FakeRasa) -> Iterator[Callable[..., Chat]]:  # noqa: F811
    contexts: list[BrowserContext] = []

    def open_one(width: int = 1280, height: int = 800, **options: Any) -> Chat:
        options = {"locale": "zh-CN", "reduced_motion": "reduce"} | options
        contexts.append(browser.new_context(viewport=ViewportSize(width=width, height=height), **options))
        return Chat(contexts[-1].new_page(), gateway)

    rasa.store = Conversations(gateway).turn
    yield open_one
    for context in contexts:
        context.close()


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_everything_can_be_read_and_has_a_name(
    open_chat: Callable[..., Chat], gateway: Gateway, rasa: FakeRasa, tmp_path: Path, scheme: str, width: int
) -> None:
    chat = open_chat(width, color_scheme=scheme)
    expect(chat.log).to_be_visible()
    rasa.answers["退货"] = EVERYTHING
    chat.page.screenshot(path=tmp_path / f"{scheme}-{width}-start.png")
    assert chat.page.evaluate(LEGIBLE) == []
    chat.say("退货")
    expect(chat.button("不喜欢")).to_be_enabled()
    Conversations(gateway).operator(rasa.calls[0].sender, "我是小王，看 https://shop.example/a")
    look(chat)
    expect(chat.log.get_by_role("link")).to_be_visible()
    chat.page.route("**/api/chat", lambda route: route.fulfill(status=400, json={"error": {"message": "不行。"}}))
    chat.say("再来")
    expect(chat.button("删除")).to_be_visible()
    chat.log.get_by_text("来源", exact=True).click()
    chat.page.screenshot(path=tmp_path / f"{scheme}-{width}.png")
    chat.page.context.set_offline(True)
    expect(chat.banner).to_be_visible()
    assert chat.page.evaluate(LEGIBLE) == []
    assert chat.page.evaluate(NAMELESS) == []


@in_browser
def test_by_keyboard_alone_a_button_is_found_and_the_focus_is_seen(
    open_chat: Callable[..., Chat], rasa: FakeRasa
) -> None:
    chat = open_chat()
    expect(chat.log).to_be_visible()
    page = chat.page

    def focused() -> str:
        return str(
            page.evaluate(
                "() => { let at = document.activeElement;"
                "while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
                "const drawn = at.id === 'text-input' ? at.parentElement : at; const seen = getComputedStyle(drawn);"
                "const name = at.ariaLabel || at.textContent.trim();"
                "return parseFloat(seen.outlineWidth) >= 2 && seen.outlineStyle !== 'none' ? name : `unseen: ${name}` }"
            )
        )

    met = []
    for _ in range(10):
        page.keyboard.press("Tab")
        met.append(focused())
        if met[-1] == "我的订单到哪了":
            break
    assert [name for name in met if name.startswith("unseen")] == []
    page.keyboard.press("Enter")
    chat.hears("收到：我的订单到哪了")
    chat.box.focus()
    assert focused() == "想说什么，写在这里"
    page.keyboard.press("Shift+Tab")
    assert focused() == "发图片"


@in_browser
def test_an_answer_is_announced_and_who_moves_nothing_sees_nothing_move(
    open_chat: Callable[..., Chat], rasa: FakeRasa
) -> None:
    chat = open_chat()
    expect(chat.log).to_have_attribute("aria-live", "polite")
    rasa.gate.clear()
    chat.say("在吗")
    announced = chat.page.locator("#typing")
    expect(announced).to_have_text("对方正在输入…")
    longest = (
        "() => [document, document.querySelector('deep-chat').shadowRoot].flatMap((root) => root.getAnimations())"
        ".map((each) => each.effect.getTiming().duration).reduce((one, other) => Math.max(one, other), 0)"
    )
    assert chat.page.evaluate(longest) <= 1
    rasa.gate.set()
    chat.hears("收到：在吗")
    expect(announced).to_have_text("")


@in_browser
@pytest.mark.parametrize(("width", "height"), [(640, 400), (320, 256)])
def test_at_two_and_four_hundred_percent_nothing_is_lost(
    open_chat: Callable[..., Chat], rasa: FakeRasa, tmp_path: Path, width: int, height: int
) -> None:
    """As a window of 1280 × 800 or 1024 is when it is enlarged."""
    chat = open_chat(width, height)
    rasa.answers["退货"] = EVERYTHING
    chat.say("退货")
    expect(chat.button("不喜欢")).to_be_visible()
    chat.page.screenshot(path=tmp_path / f"{width}.png")
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(chat.box).to_be_in_viewport(ratio=1)
    expect(chat.button("发送")).to_be_in_viewport(ratio=1)
    chat.button("不喜欢").click()
    chat.hears("收到：不喜欢")


# ---- two languages ---------------------------------------------------------------------------------------------------


@in_browser
def test_an_english_browser_gets_english_and_can_have_chinese(
    open_chat: Callable[..., Chat], rasa: FakeRasa, tmp_path: Path
) -> None:
    chat = open_chat(390, locale="en-US")
    expect(chat.page.get_by_role("heading", name="Customer service")).to_be_visible()
    chat.button("Where is my order?").click()
    chat.hears("收到：我的订单到哪了")
    chat.page.screenshot(path=tmp_path / "english.png")
    chinese = re.compile("[\u4e00-\u9fff]")
    names = chat.page.locator("button, [role=textbox], h1, header p").evaluate_all(
        "all => all.map((each) => each.ariaLabel || each.textContent)"
    )
    assert [name for name in names if chinese.search(name)] == []
    chat.page.get_by_role("link", name="中文").click()
    expect(chat.page.get_by_role("heading", name="在线客服")).to_be_visible()
    expect(chat.button("我想退货")).to_be_visible()
    chat.hears("收到：我的订单到哪了")
    chat.page.goto(chat.page.url.partition("?")[0])  # it is remembered
    expect(chat.button("我想退货")).to_be_visible()
    assert chat.faults == []


LIKED = {
    "": "zh-CN",
    "zh-TW,zh;q=0.9": "zh-CN",
    "en": "en",
    "en-GB,en;q=0.9,zh;q=0.8": "en",
    "fr, en;q=0.3": "en",
    "en;q=0.3, zh;q=0.5": "zh-CN",
    "fr": "zh-CN",
    "en;q=0, fr": "zh-CN",
    "EN-us": "en",
    ";;;q=,en;q=x,\u00ff": "zh-CN",
    "en," * 5000: "en",
}


@pytest.mark.parametrize("liked", LIKED, ids=lambda liked: str(liked)[:20])
def test_which_language_a_browser_gets(gateway: Gateway, liked: str) -> None:
    headers = [(b"Accept-Language", liked.encode("latin-1"))] if liked else []
    for path in ("/", "/offline"):
        page = httpx.get(f"{gateway.url}{path}", headers=headers, trust_env=False).text
        assert f'<html lang="{LIKED[liked]}">' in page


def test_a_language_that_lacks_words_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    known = yaml.safe_load(languages.FILE.read_text("utf-8"))
    del known["en"]["send"]
    (tmp_path / "languages.yml").write_text(yaml.safe_dump(known, allow_unicode=True, sort_keys=False), "utf-8")
    monkeypatch.setattr(languages, "FILE", tmp_path / "languages.yml")
    languages.words.cache_clear()
    with pytest.raises(ValueError, match="en differs in send"):
        languages.words()
    languages.words.cache_clear()


# ---- an app on a phone -----------------------------------------------------------------------------------------------


def await_worker(page: Page) -> None:
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")


@in_browser
def test_without_a_network_the_page_says_so_and_nothing_that_was_said_is_kept(
    open_chat: Callable[..., Chat], rasa: FakeRasa, tmp_path: Path
) -> None:
    chat = open_chat(390, color_scheme="dark")
    await_worker(chat.page)
    chat.page.reload()
    chat.say("我的地址是延平路")
    chat.hears("收到：我的地址是延平路")
    kept = chat.page.evaluate(
        "(async () => (await Promise.all((await caches.keys()).map(async (name) =>"
        " (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname)))).flat().sort())()"
    )
    assert kept == ["/offline", "/static/avatar.svg", "/static/chat.css"]
    chat.page.context.set_offline(True)
    chat.page.reload()
    expect(chat.page.get_by_role("heading", name="现在没有网络")).to_be_visible()
    expect(chat.page.get_by_role("main")).to_have_css("background-color", "rgb(29, 24, 22)")  # it has its style
    chat.page.screenshot(path=tmp_path / "offline.png")
    chat.page.context.set_offline(False)
    chat.page.get_by_role("link", name="再试一次").click()
    chat.hears("收到：我的地址是延平路")
    assert chat.page.evaluate("localStorage.length") == 0


@in_browser
def test_it_can_be_installed(open_chat: Callable[..., Chat], gateway: Gateway) -> None:
    chat = open_chat()
    session = chat.page.context.new_cdp_session(chat.page)
    found = session.send("Page.getAppManifest")
    assert (found["errors"], found["url"]) == ([], f"{gateway.url}/manifest.webmanifest")
    await_worker(chat.page)
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [each["errorId"] for each in errors if each["errorId"] != "in-incognito"] == []
    english = httpx.get(f"{gateway.url}/manifest.webmanifest", headers={"Accept-Language": "en"}, trust_env=False)
    assert (english.json()["lang"], english.json()["short_name"]) == ("en", "Zhanggui")
    for icon in english.json()["icons"]:
        assert httpx.get(f"{gateway.url}{icon['src']}", trust_env=False).headers["Content-Type"] == "image/svg+xml"


# ---- the operators' pages --------------------------------------------------------------------------------------------


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_operators_can_read_every_page_by_day_and_by_night(
    browser: Browser,  # noqa: F811
    gateway: Gateway,
    rasa: FakeRasa,
    tmp_path: Path,
    scheme: Literal["light", "dark"],
) -> None:
    context = browser.new_context(viewport=ViewportSize(width=1280, height=800), locale="zh-CN", color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{gateway.url}/dashboard")
    assert page.evaluate(LEGIBLE) == []
    page.get_by_label("您的称呼").fill("小王")
    page.get_by_label("口令").fill((gateway.folder / "admin_token").read_text().strip())
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("link", name="排队")).to_be_visible()
    for address in page.locator("nav a").evaluate_all("all => all.map((each) => each.getAttribute('href'))"):
        page.goto(f"{gateway.url}{address}")
        expect(page.locator("#operator")).to_have_text("小王")
        page.screenshot(path=tmp_path / f"{scheme}{re.sub('[^a-z]+', '-', address)}.png")
        assert (address, page.evaluate(LEGIBLE)) == (address, [])
    context.close()
