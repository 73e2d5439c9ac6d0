"""kill -9 in the middle of the turn that writes: nothing is lost, nothing is doubled, bot and mall agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import select

import settings
from mall_adapter import Desk
from mall_adapter.models import Ticket
from storage import create_engine
from tests.e2e.conversation import api_sender, copy_customer, copy_order
from tests.e2e.held_actions import HeldActions
from tests.stack import Stack

SECONDS = 90


class Page:
    """A web page with a conversation of its own: what was not answered is sent again under the same id."""

    def __init__(self, stack: Stack, sender: str) -> None:
        self._stack, self._sender, self._sent = stack, sender, 0

    def say(self, text: str) -> str:
        self._sent += 1
        body = {"sender": self._sender, "text": text, "message_id": f"m{self._sent}"}
        with httpx.Client(base_url=self._stack.url, timeout=SECONDS) as client:
            for _ in range(4):
                try:
                    response = client.post("/api/chat", json=body)
                except httpx.TransportError:
                    self._stack.wait_until_green()
                    continue
                if response.status_code == httpx.codes.OK:
                    answer: dict[str, Any] = response.json()
                    return "\n".join(message.get("text", "") for message in answer["messages"])
                self._stack.wait_until_green()
        raise AssertionError(f"{text!r} was never answered: {response.text}")


async def _fresh_order() -> str:
    engine = create_engine(settings.database_url())
    try:
        return await copy_order(engine, "ORD12345", await copy_customer(engine, "ORD12345"))
    finally:
        await engine.dispose()


async def _tickets(order_id: str) -> list[str]:
    engine = create_engine(settings.database_url())
    try:
        async with engine.connect() as connection:
            found = await connection.execute(select(Ticket.id).where(Ticket.order_id == order_id))
            return list(found.scalars())
    finally:
        await engine.dispose()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("part", ["actions", "gateway", "bot", "everything"])
def test_killed_while_the_ticket_is_written(
    stack: Stack, actions: HeldActions, pool: ThreadPoolExecutor, part: str, moment: str
) -> None:
    order_id = asyncio.run(_fresh_order())
    page = Page(stack, f"crash {part} {moment}")
    assert "原因" in page.say(f"退货 {order_id} 尾号5678")
    assert "确认" in page.say("颜色不喜欢")
    with actions.hold("action_create_return_ticket", moment) as held:
        answer = pool.submit(page.say, "确认提交")
        held.wait()
        if part == "everything":
            stack.crash_and_restart()
        else:
            stack.kill(part)
        held.release()
        said = answer.result(SECONDS * 4)
    tickets = asyncio.run(_tickets(order_id))
    assert len(tickets) == 1
    assert f"工单号 {tickets[0]}" in said
    assert tickets[0] in page.say("退货进度")


class Operator:
    """A page of the service desk, which sends an answer again under its id until it was taken."""

    def __init__(self, stack: Stack, sender: str) -> None:
        self._stack, self._sender = stack, sender
        self._client = httpx.Client(base_url=stack.url, timeout=SECONDS)
        sign_in = {"token": settings.admin_token(), "name": "小王"}
        self._client.post("/dashboard/api/session", json=sign_in).raise_for_status()
        csrf = self._client.get("/dashboard/api/session").json()["csrf"]
        self._client.headers["X-CSRF-Token"] = csrf
        self._handoff = asyncio.run(self._find())

    async def _find(self) -> int:
        engine = create_engine(settings.database_url())
        try:
            live = await Desk(engine, settings.desk_hours()).live(api_sender(self._sender))
        finally:
            await engine.dispose()
        assert live
        return live.id

    def does(self, what: str, **body: Any) -> None:
        for _ in range(4):
            try:
                response = self._client.post(f"/dashboard/api/handoffs/{self._handoff}/{what}", json=body)
                if response.status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            self._stack.wait_until_green()
        raise AssertionError(f"the desk never took it: {what}")

    def sees(self) -> list[str]:
        lines = self._client.get(f"/dashboard/api/handoffs/{self._handoff}").json()["lines"]
        return [line["text"] for line in lines if line["by"] == "operator"]


@pytest.mark.parametrize("parts", [("bot",), ("gateway",), ("bot", "gateway"), ("everything",)], ids="+".join)
def test_killed_while_an_operator_answers(stack: Stack, parts: tuple[str, ...]) -> None:
    sender = f"desk {parts}"
    page = Page(stack, sender)
    page.say("转人工")
    operator = Operator(stack, sender)
    operator.does("claim")
    operator.does("say", text="第1句", message_id="o1")
    for number, part in enumerate(parts):
        if part == "everything":
            stack.crash_and_restart()
        else:
            stack.kill(part)
        operator.does("say", text=f"第{number + 2}句", message_id=f"o{number + 2}")
    for number in range(len(parts) + 1):  # the page did not hear that they were taken
        operator.does("say", text=f"第{number + 1}句", message_id=f"o{number + 1}")
    operator.does("hand-back", resolved=True)
    stack.wait_until_green()
    everything = ["小王来了", *(f"第{number + 1}句" for number in range(len(parts) + 1)), "结束"]
    deadline = time.monotonic() + SECONDS
    news: list[str] = []
    with httpx.Client(base_url=stack.url, timeout=SECONDS) as client:
        while len(news) < len(everything) and time.monotonic() < deadline:
            updates = client.get("/api/chat/updates", params={"sender": sender}).json()
            news = [message["text"] for message in updates["messages"]]
            time.sleep(0.1)
    assert len(news) == len(everything)
    assert all(part in text for part, text in zip(everything, news, strict=True)), news
    assert operator.sees() == everything[1:-1]
    assert "智能助手" in page.say("你是机器人吗")
