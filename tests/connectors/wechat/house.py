"""The WeChat channel as the house has it, with what it needs to know of the house."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from connectors.channel import Gone, Shared
from connectors.inbound import Inbound
from connectors.rendering import Bubble
from connectors.wechat import channel
from connectors.wechat.consents import Consents
from connectors.wechat.sending import WeChat
from connectors.wechat.windows import Windows
from privacy import current_ring
from tests.connectors.wechat.stand_in import APP_ID, SECRET, TOKEN, StandIn

LI, WANG = "oLVPpjqs9BhvzwPj5A-vTYAX3GLc", "oWangqs9BhvzwPj5A-vTYAX3GLc0"
HELLO = Bubble("您好，有什么可以帮您？")

NOTICES = """
answer:
  template: {template_id: T1, data: {thing1: 您的问题有回复了, time2: "{time}"}}
parcel_delayed:
  subscription: {template_id: S2, data: {character_string1: "{order_id}", thing2: "{text}"}}
  template: {template_id: T2, data: {character_string1: "{order_id}", thing2: "{text}", time3: "{time}"}}
coupon_expiring:
  subscription: {template_id: S3, data: {thing1: "{title}"}}
"""


class House:
    """The channel as the house has it, started as a process of its own."""

    def __init__(self, engine: AsyncEngine, http: httpx.AsyncClient) -> None:
        self._engine, self._http = engine, http
        self.windows, self.consents = Windows(engine), Consents(engine)
        self.restart()

    def restart(self) -> None:
        async def receive(_: Inbound) -> bool:
            return True

        async def answer(_: Inbound, __: float, ___: Gone) -> None:
            return None

        shared = Shared(
            engine=self._engine, ring=current_ring(), http=self._http, public_url="https://shop.example", answer=answer
        )
        made = channel(receive, shared)
        assert isinstance(made, WeChat)
        self.channel = made

    async def hears(self, openid: str, at: datetime | None = None) -> None:
        await self.windows.open(openid, "message", at or datetime.now(UTC))

    async def sends(self, openid: str, bubble: Bubble = HELLO, key: str = "7") -> Any:
        return await self.channel.send(openid, bubble, key)


@pytest.fixture
async def house_of_li(
    engine: AsyncEngine,
    http: httpx.AsyncClient,
    wechat: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> House:
    """Li has just written."""
    (tmp_path / "notice.yml").write_text(NOTICES, "utf-8")
    given = {"WECHAT_APP_ID": APP_ID, "WECHAT_APP_SECRET": SECRET, "WECHAT_TOKEN": TOKEN}
    given |= {"WECHAT_API_BASE": wechat.url, "WECHAT_NOTICE_FILE": str(tmp_path / "notice.yml")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    wechat.follow(LI, WANG)
    house = House(engine, http)
    await house.hears(LI)
    return house
