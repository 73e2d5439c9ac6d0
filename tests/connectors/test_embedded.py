"""The web chat in a page of another site, in a real browser that keeps no cookies of third parties."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FrameLocator,
    Locator,
    Page,
    Route,
    ViewportSize,
    expect,
    sync_playwright,
)

import settings
from connectors.web.visitor import COOKIE, FRAMED, HEADER
from tests.connectors.conftest import Gateway, aside, free_port
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_visitor_pictures import attach, drawn
from tests.connectors.test_web_chat import ARGUMENTS, CHROMIUM, WIDTHS

in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

STRICT = "default-src 'none'; script-src {0}; img-src {0}; frame-src {0}"
"""What a careful site allows: our script, our picture, our frame, and no style of anybody."""


class Site:
    """Somebody's shop, at an address that is another site than the gateway's: what it shows has one script of ours."""

    def __init__(self, gateway_url: str, port: int, host: str = "localhost") -> None:
        self.url = f"http://{host}:{port}/"
        self.attributes = 'data-lang="zh"'
        outer = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                script = f'<script async src="{gateway_url}/embed.js" {outer.attributes}></script>'
                body = f"<!doctype html><title>店</title><head>{script}</head><h1>花店</h1><p>鲜花</p>".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", STRICT.format(gateway_url))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Page)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="module")
def shared_host(
    rasa_server: FakeRasa, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway whose chat the first of two sites may hold."""
    origins = f"http://localhost:{ports[0]}, http://127.0.0.1:{ports[0]}, https://www.shop.example"
    folder = tmp_path_factory.mktemp("host")
    gateway = aside(lambda: Gateway(folder, rasa_server.url, EMBED_ORIGINS=origins))
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture
def host(shared_host: Gateway, rasa: FakeRasa) -> Gateway:
    rasa.store = Conversations(shared_host).turn
    return shared_host


@pytest.fixture
def site(host: Gateway, ports: tuple[int, int]) -> Iterator[Site]:
    site = Site(host.url, ports[0])
    yield site
    site.close()


@pytest.fixture(scope="module")
def strict_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = [*ARGUMENTS, "--test-third-party-cookie-phaseout"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(strict_browser: Browser) -> Iterator[BrowserContext]:
    context = strict_browser.new_context(viewport=WIDTHS["desktop"], locale="zh-CN", reduced_motion="reduce")
    yield context
    context.close()


class Embedded:
    """A customer's look at that site."""

    def __init__(self, page: Page, site: Site, label: str = "在线客服") -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.goto(site.url)
        self.opener = page.locator("zhanggui-chat").get_by_role("button")
        expect(self.opener).to_have_accessible_name(label)

    @property
    def frame(self) -> FrameLocator:
        return self.page.frame_locator("zhanggui-chat iframe")

    @property
    def box(self) -> Locator:
        return self.frame.get_by_role("textbox")

    def say(self, text: str) -> None:
        expect(self.frame.get_by_role("log")).to_be_visible()  # all of it has been drawn
        self.box.fill(text)
        self.box.press("Enter")

    def hears(self, text: str) -> None:
        expect(self.frame.get_by_role("log").get_by_text(text, exact=True)).to_have_count(1)


@pytest.fixture
def visit(context: BrowserContext, site: Site) -> Callable[..., Embedded]:
    return lambda **options: Embedded(context.new_page(), site, **options)


def without_cookies(context: BrowserContext) -> None:
    """As a browser that knows no partitioned cookies, or a house without https."""

    def carry(route: Route) -> None:
        answer = httpx.get(route.request.url, trust_env=False)
        headers = {name: answer.headers[name] for name in ("content-type", "content-security-policy")}
        route.fulfill(body=answer.content, headers=headers)

    context.route("**/embed?*", carry)


@in_browser
def test_one_script_tag_is_a_chat_that_remembers_where_third_parties_cookies_are_blocked(
    visit: Callable[..., Embedded], context: BrowserContext, rasa: FakeRasa, tmp_path: Path
) -> None:
    one = visit()
    one.page.screenshot(path=tmp_path / "1-button.png")
    one.opener.click()
    one.say("我想退货")
    one.hears("收到：我想退货")
    one.page.screenshot(path=tmp_path / "2-panel.png")
    one.page.frames[-1].evaluate("document.cookie = 'third=party; SameSite=None; Secure; path=/'")
    kept = {cookie["name"]: cookie.get("partitionKey") for cookie in context.cookies()}
    assert kept == {FRAMED: "http://localhost"}  # third parties' are blocked; ours is for this site alone

    one.page.reload()
    one.opener.click()
    one.hears("收到：我想退货")
    one.say("在吗")
    one.hears("收到：在吗")
    other = visit()  # a second tab of the same site
    other.opener.click()
    other.hears("收到：在吗")
    other.say("还有")
    other.hears("收到：还有")
    one.page.frames[-1].evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # its owner comes back to it
    one.hears("收到：还有")
    assert rasa.texts() == ["我想退货", "在吗", "还有"]
    assert len({call.sender for call in rasa.calls}) == 1
    assert one.faults == other.faults == []


@in_browser
def test_by_keyboard_it_opens_speaks_and_closes(visit: Callable[..., Embedded], rasa: FakeRasa) -> None:
    chat = visit()
    chat.page.keyboard.press("Tab")
    expect(chat.opener).to_be_focused()
    expect(chat.opener).to_have_attribute("aria-expanded", "false")
    chat.page.keyboard.press("Enter")
    expect(chat.opener).to_have_attribute("aria-expanded", "true")
    expect(chat.opener).to_have_accessible_name("收起")
    expect(chat.box).to_be_focused()
    chat.page.keyboard.insert_text("在吗")
    chat.page.keyboard.press("Enter")
    chat.hears("收到：在吗")
    chat.page.keyboard.press("Escape")
    expect(chat.box).to_be_hidden()
    expect(chat.opener).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(chat.box).to_be_focused()
    chat.hears("收到：在吗")


@in_browser
def test_a_closed_panel_tells_of_news(visit: Callable[..., Embedded], rasa: FakeRasa) -> None:
    chat = visit()
    chat.opener.click()
    rasa.gate.clear()
    chat.say("在吗")
    assert rasa.arrived.acquire(timeout=20)
    chat.frame.get_by_role("button", name="收起").click()
    expect(chat.opener).to_have_accessible_name("在线客服")
    rasa.gate.set()
    expect(chat.opener).to_have_accessible_name("在线客服, 有新消息")
    chat.opener.click()
    chat.hears("收到：在吗")
    chat.frame.get_by_role("button", name="收起").click()
    expect(chat.opener).to_have_accessible_name("在线客服")


@in_browser
def test_a_phone_gives_it_the_whole_screen_in_english(
    strict_browser: Browser, site: Site, rasa: FakeRasa, tmp_path: Path
) -> None:
    site.attributes = 'data-side="left"'  # the page has no language, the browser has one
    phone = ViewportSize(width=390, height=760)
    context = strict_browser.new_context(viewport=phone, locale="en-GB", has_touch=True, color_scheme="dark")
    chat = Embedded(context.new_page(), site, label="Customer service")
    chat.page.screenshot(path=tmp_path / "3-phone.png")
    chat.opener.click()
    chat.frame.get_by_role("button", name="Where is my order?").click()
    chat.hears("收到：我的订单到哪了")
    chat.page.screenshot(path=tmp_path / "4-phone-open.png")
    box = chat.page.locator("zhanggui-chat iframe").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 760}
    chat.frame.get_by_role("button", name="Close").click()
    expect(chat.opener).to_be_visible()
    assert rasa.texts() == ["我的订单到哪了"]
    context.close()


@in_browser
def test_without_such_cookies_the_frame_keeps_who_is_speaking(
    context: BrowserContext, host: Gateway, ports: tuple[int, int], rasa: FakeRasa
) -> None:
    without_cookies(context)
    near = Site(host.url, ports[0], "127.0.0.1")  # the same site: its frames may keep what they like
    chat = Embedded(context.new_page(), near)
    chat.opener.click()
    chat.say("一")
    chat.hears("收到：一")
    attach(chat.page, chat.frame.get_by_role("button", name="发图片"), drawn("PNG"))
    expect(chat.frame.get_by_role("log").get_by_text("图片收到")).to_be_visible()
    chat.page.reload()
    chat.opener.click()
    chat.say("二")
    chat.hears("收到：二")
    chat.hears("收到：一")
    expect(chat.frame.get_by_role("img", name="图片")).not_to_have_js_property("naturalWidth", 0)
    expect(chat.frame.get_by_role("status")).to_be_hidden()
    assert len({call.sender for call in rasa.calls}) == 1
    assert (len(context.cookies()), chat.faults) == (0, [])
    near.close()


@in_browser
def test_a_frame_that_cannot_keep_anything_says_so(
    visit: Callable[..., Embedded], context: BrowserContext, rasa: FakeRasa
) -> None:
    without_cookies(context)
    chat = visit()
    chat.opener.click()
    chat.say("一")
    chat.hears("收到：一")
    expect(chat.frame.get_by_role("status")).to_contain_text("离开页面后")
    chat.say("二")
    chat.hears("收到：二")
    assert len({call.sender for call in rasa.calls}) == 1


@in_browser
def test_a_connection_that_comes_back_brings_what_was_missed(
    visit: Callable[..., Embedded], context: BrowserContext, host: Gateway, rasa: FakeRasa
) -> None:
    chat = visit()
    chat.opener.click()
    chat.say("在吗")
    chat.hears("收到：在吗")
    context.set_offline(True)
    chat.say("我想退货")
    expect(chat.frame.get_by_role("status")).to_have_text("网络断开，正在重连…")
    Conversations(host).operator(rasa.calls[0].sender, "我是小王")
    context.set_offline(False)
    chat.hears("我是小王")
    chat.hears("收到：我想退货")
    expect(chat.frame.get_by_role("status")).to_be_hidden()
    assert rasa.texts() == ["在吗", "我想退货"]


@in_browser
def test_a_site_that_is_not_named_gets_no_chat(
    strict_browser: Browser, host: Gateway, ports: tuple[int, int], rasa: FakeRasa
) -> None:
    stranger = Site(host.url, ports[1])
    page = strict_browser.new_page(locale="zh-CN")
    page.goto(stranger.url)
    with page.expect_console_message(lambda line: "frame-ancestors" in line.text):
        page.locator("zhanggui-chat").get_by_role("button").click()
    expect(page.frame_locator("zhanggui-chat iframe").get_by_role("textbox")).to_have_count(0)
    page.close()
    stranger.close()


# ---- its doors -------------------------------------------------------------------------------------------------------


def test_who_may_hold_which_page(host: Gateway, ports: tuple[int, int]) -> None:
    def ancestors(path: str) -> str:
        policy = httpx.get(f"{host.url}{path}", trust_env=False).headers["Content-Security-Policy"]
        return policy.partition("frame-ancestors ")[2]

    assert ancestors("/embed") == f"http://localhost:{ports[0]} http://127.0.0.1:{ports[0]} https://www.shop.example"
    assert {ancestors(path) for path in ("/", "/dashboard", "/offline", "/embed.js", "/healthz")} == {"'none'"}


def test_a_house_that_names_no_site_has_no_frame(gateway: Gateway) -> None:
    for path in ("/embed", "/embed.js"):
        assert httpx.get(f"{gateway.url}{path}", trust_env=False).status_code == 404


def test_a_token_says_who_is_speaking_and_only_its_visitor_has_it(host: Gateway, rasa: FakeRasa) -> None:
    def token(shown: str | None = None, **headers: str) -> httpx.Response:
        if shown is not None:
            headers[HEADER] = shown
        return httpx.post(f"{host.url}/api/chat/visitor", headers=headers, trust_env=False)

    def says(text: str, headers: dict[str, str]) -> str:
        httpx.post(f"{host.url}/api/chat", json={"text": text}, headers=headers, trust_env=False).raise_for_status()
        return rasa.calls[-1].sender

    answer = token()
    assert answer.headers["Cache-Control"] == "no-store"
    assert COOKIE not in answer.cookies
    mine = answer.json()["token"]
    me = says("一", {HEADER: mine})
    assert says("二", {HEADER: token(mine).json()["token"]}) == me  # renewed, it is the same visitor
    assert says("三", {HEADER: token().json()["token"]}) != me
    page = httpx.get(host.url, trust_env=False)
    cookie = f"{COOKIE}={page.cookies[COOKIE]}"
    other = says("四", {"Cookie": cookie})
    assert says("五", {"Cookie": cookie, HEADER: mine}) == me
    name, at, signature = mine.split(".")
    other_signature = f"{name}.{at}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for forged in (other_signature, f"{other.split(':')[1]}.{at}.{signature}", "x", "", name):
        assert says("六", {"Cookie": cookie, HEADER: forged}) not in (me, other)  # nor is the cookie believed instead
    framed = {"Cookie": f"{FRAMED}={mine}"}
    assert says("七", framed) == me
    assert (
        says("八", framed | {"Origin": "https://www.shop.example"}) != me
    )  # the page around the frame is not the frame
    assert token(Origin="https://evil.example").status_code == 403
    assert token(**{"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize(
    "origins",
    ["*", "https://*.shop.example", "https://shop.example/", "shop.example", "https://a; script-src *", "javascript:1"],
)
def test_an_origin_that_is_none_is_refused_at_the_start(tmp_path: Path, rasa: FakeRasa, origins: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBED_ORIGINS", origins)
        with pytest.raises(ValueError, match="EMBED_ORIGINS"):
            settings.embed_origins()
