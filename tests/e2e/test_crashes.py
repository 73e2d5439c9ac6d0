"""kill -9 in the middle of the turn that writes: nothing is lost, nothing is doubled, bot and mall agree."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import select

import settings
from mall_adapter import create_engine
from mall_adapter.models import Ticket
from tests.e2e.conversation import copy_customer, copy_order
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
