"""A gateway with a WeChat account, and the customers who write to it: they see what a telephone would show."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from connectors.wechat import xml
from tests.connectors.conftest import Gateway
from tests.connectors.fake_rasa import FakeRasa
from tests.connectors.wechat import stand_in
from tests.connectors.wechat.stand_in import AES_KEY, APP_ID, SECRET, TOKEN, StandIn

SUCCESS = "success"


class Customer:
    """Writes through a WeChat in safe mode, or in plain mode."""

    def __init__(self, shop: Shop, openid: str) -> None:
        self._shop, self.openid = shop, openid

    async def says(self, text: str, **fields: Any) -> str | None:
        """What is told in reply; None for ``success``."""
        return await self.sends(self.message(text, **fields))

    async def does(self, event: str, **fields: Any) -> str | None:
        return await self.sends(self.message(MsgType="event", Event=event, **fields))

    def message(self, text: str | None = None, **fields: Any) -> str:
        return stand_in.message(self.openid, **({"Content": text} if text is not None else {}) | fields)

    async def sends(self, message: str) -> str | None:
        response = await self._shop.deliver(message)
        assert response.status_code == 200, response.text
        if response.text == SUCCESS:
            return None
        told = xml.read(response.content)
        if self._shop.safe:
            sealed = told["Encrypt"]
            assert told["MsgSignature"] == stand_in.sign(TOKEN, told["TimeStamp"], told["Nonce"], sealed)
            words, app_id = stand_in.unseal(sealed)
            assert app_id == APP_ID
            told = xml.read(words.encode())
        assert (told["ToUserName"], told["FromUserName"]) == (self.openid, stand_in.HOUSE)
        assert told["MsgType"] == "text" and abs(int(told["CreateTime"]) - time.time()) < 60
        return told["Content"]

    async def receives(self, number: int = 1) -> list[Any]:
        """So many things that the house has sent by itself; the last ones."""
        await until(lambda: len(self.received()) >= number)
        return self.received()[-number:]

    def received(self) -> list[Any]:
        return [(kind, content) for to, kind, content in self._shop.wechat.sent if to == self.openid]


class Shop:
    def __init__(self, folder: Path, rasa: FakeRasa, wechat: StandIn, *, safe: bool) -> None:
        self.rasa, self.wechat, self.safe = rasa, wechat, safe
        account = {"WECHAT_APP_ID": APP_ID, "WECHAT_APP_SECRET": SECRET, "WECHAT_TOKEN": TOKEN}
        account |= {"WECHAT_API_BASE": wechat.url} | ({"WECHAT_AES_KEY": AES_KEY} if safe else {})
        self.gateway = Gateway(folder, rasa.url, **account)

    def customer(self) -> Customer:
        """Somebody new, who follows the account."""
        openid = f"o{secrets.token_hex(13)}x"
        self.wechat.follow(openid)
        return Customer(self, openid)

    async def deliver(self, message: str, at: float | None = None) -> httpx.Response:
        """As WeChat's server does."""
        if not self.safe:
            return await self.post(stand_in.query(at=at), message)
        sealed = stand_in.seal(message)
        return await self.post(stand_in.query(at=at, sealed=sealed), stand_in.envelope(sealed))

    async def post(self, query: Any, body: str | bytes) -> httpx.Response:
        content = body.encode() if isinstance(body, str) else body
        async with self.client() as http:
            return await http.post("/wechat", params=query, content=content, headers={"Content-Type": "text/xml"})

    async def health(self) -> Any:
        async with self.client() as http:
            return (await http.get("/healthz")).json()

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(timeout=30, trust_env=False, base_url=self.gateway.url)

    def refusals(self) -> list[str]:
        """The calls of which the house knows that the account does not have them."""
        with closing(sqlite3.connect(self.gateway.database)) as database:
            return [call for (call,) in database.execute("SELECT call FROM wechat_refusal")]


async def until(met: Callable[[], bool] | Callable[[], Awaitable[bool]], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = met()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.05)
