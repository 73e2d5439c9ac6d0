"""A customer and an operator, each in a real browser, with the whole stack between them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

import settings
from mall_adapter import Desk
from storage import create_engine
from tests.stack import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

WIDTHS = {"phone": ViewportSize(width=360, height=740), "desktop": ViewportSize(width=1280, height=800)}
PATIENCE = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Window:
    def __init__(self, browser: Browser, width: ViewportSize, address: str) -> None:
        self.page: Page = browser.new_context(viewport=width, locale="zh-CN").new_page()
        self.page.set_default_timeout(PATIENCE)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.goto(address)

    @property
    def log(self) -> str:
        return self.page.get_by_role("log").inner_text()

    def sees(self, text: str, times: int = 1) -> None:
        expect(self.page.get_by_role("log").get_by_text(text)).to_have_count(times, timeout=PATIENCE)

    def close(self) -> None:
        self.page.context.close()


class Customer(Window):
    def say(self, text: str) -> None:
        box = self.page.get_by_role("textbox")
        box.fill(text)
        box.press("Enter")

    def tap(self, title: str) -> None:
        self.page.get_by_role("button", name=title).last.click()


class Operator(Window):
    def sign_in(self, token: str, name: str = "小王") -> None:
        self.page.get_by_label("您的称呼").fill(name)
        self.page.get_by_label("口令").fill(token)
        self.page.get_by_role("button", name="登录").click()

    def answer(self, text: str) -> None:
        self.page.get_by_label("回复顾客").fill(text)
        self.page.get_by_label("回复顾客").press("Enter")


@pytest.mark.parametrize("width", WIDTHS)
def test_a_customer_and_an_operator_talk(stack: Stack, browser: Browser, tmp_path: Path, width: str) -> None:
    operator = Operator(browser, WIDTHS[width], f"{stack.url}/dashboard")
    operator.sign_in("guess")
    expect(operator.page.get_by_role("alert")).to_contain_text("口令不对")
    operator.page.screenshot(path=tmp_path / f"{width}-1-sign-in.png")
    operator.sign_in((stack.data_dir / "admin_token").read_text().strip())
    expect(operator.page.get_by_role("button", name="退出")).to_be_visible()
    operator.page.screenshot(path=tmp_path / f"{width}-2-empty.png")

    customer = Customer(browser, WIDTHS[width], stack.url)
    customer.say("我的快递一直没到，太差劲了我要投诉")
    customer.say("转人工")
    customer.sees("继续跟我说")
    customer.say("你能做什么")  # the bot goes on while they wait
    customer.sees("我能帮您")

    operator.page.reload()  # others may wait with a complaint: the last of a list that has this one, too
    operator.page.get_by_role("button", name="要投诉").last.click()
    expect(operator.page.get_by_role("log")).to_contain_text("你能做什么", timeout=PATIENCE)
    operator.page.screenshot(path=tmp_path / f"{width}-3-waiting.png")
    operator.page.get_by_role("button", name="接手").click()
    customer.sees("人工客服小王来了")

    operator.answer("您好，我看一下您的订单")
    operator.answer("快递今天会到 <b>好</b>")
    customer.sees("您好，我看一下您的订单")
    customer.sees("快递今天会到 <b>好</b>")
    customer.say("几点到")
    expect(operator.page.get_by_role("log")).to_contain_text("几点到", timeout=PATIENCE)
    expect(customer.page.locator(".deep-chat-outer-container-role-operator")).to_have_count(2)
    customer.page.screenshot(path=tmp_path / f"{width}-4-customer.png")
    operator.page.screenshot(path=tmp_path / f"{width}-5-talking.png")

    customer.page.reload()
    customer.sees("您好，我看一下您的订单")
    customer.page.context.set_offline(True)
    operator.answer("下午三点前")
    operator.sees("下午三点前")
    customer.page.context.set_offline(False)
    customer.sees("下午三点前")
    operator.page.reload()
    operator.page.get_by_role("button", name="要投诉").last.click()
    operator.sees("下午三点前")

    operator.page.get_by_role("button", name="已解决，交还").click()
    customer.sees("人工客服的服务结束了")
    customer.tap("5 星")
    customer.sees("收到，5 星")
    customer.say("你是机器人吗")
    customer.sees("智能助手")
    expect(operator.page.locator("#state")).to_contain_text("顾客评 5 星", timeout=PATIENCE)
    customer.page.screenshot(path=tmp_path / f"{width}-6-after.png")
    assert "已转给人工客服" not in customer.log
    assert (customer.faults, operator.faults) == ([], [])
    for page in (customer.page, operator.page):
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    operator.page.goto(f"{stack.url}/dashboard#review")
    operator.page.screenshot(path=tmp_path / f"{width}-7-review.png")
    operator.page.get_by_role("button", name="退出").click()
    expect(operator.page.get_by_label("口令")).to_be_visible()
    customer.close()
    operator.close()


async def note(text: str) -> str:
    """As the bot does: whether it understands the lines of the test depends on what it has been taught."""
    engine = create_engine(settings.database_url())
    try:
        await Desk(engine, settings.desk_hours()).note_misunderstood("web:x", text, [("greet", 0.2)], "m1")
    finally:
        await engine.dispose()
    return text


def test_what_was_not_understood_reaches_the_trainers(stack: Stack, browser: Browser) -> None:
    missed = set()
    with httpx.Client(base_url=stack.url, timeout=60) as client:
        for text in ("那个啥来着就是那个", "呜啦啦嘎嘎乌拉", "不知道呀这是", "咋整呢这玩意", "abcd efgh"):
            answer = client.post("/api/chat", json={"sender": f"trainee {text}", "text": text}).json()
            if answer["understood"]["intent"] == "nlu_fallback":
                missed.add(text)
    with ThreadPoolExecutor() as pool:  # playwright has a running loop in this one
        missed.add(pool.submit(asyncio.run, note("唔知讲咩")).result())
    trainer = Operator(browser, WIDTHS["phone"], f"{stack.url}/dashboard#review")
    trainer.sign_in((stack.data_dir / "admin_token").read_text().strip())
    for text in missed:
        line = trainer.page.locator(".message", has_text=text)
        expect(line).to_have_count(1, timeout=PATIENCE)
        line.get_by_role("button", name="完成").click()
        expect(line).to_have_count(0, timeout=PATIENCE)
    trainer.close()
