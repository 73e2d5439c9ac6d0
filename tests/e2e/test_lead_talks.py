"""A salesperson takes a warm lead over from their own web chat, with the whole stack between the two."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from mall_adapter.cards import Cards
from storage import Role, create_engine
from tests.e2e.conversation import Failed, buttons_of, employ, texts_of
from tests.e2e.test_notices import Member, Visitor, member
from tests.stack import Stack


class Friend:
    """Somebody whom nobody knows, in a web chat."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client, self._chat, self._seen = client, Visitor(client), set[str]()

    @property
    def sender(self) -> str:
        return f"web:{self._client.cookies['zhanggui_visitor'].partition('.')[0]}"

    async def says(self, text: str) -> str:
        texts = texts_of(await self._chat.say(text))
        self._seen |= set(texts)
        return "\n".join(texts)

    async def hears(self, words: str) -> list[str]:
        """Waited for, among what comes unasked; the titles of the buttons beside it."""
        for _ in range(20):
            answer = await self._chat.reached(self._seen)
            self._seen |= set(texts_of(answer))
            if words in "\n".join(texts_of(answer)):
                return [one["title"] for one in buttons_of(answer)]
        raise Failed("\n".join([*self._chat.transcript, f"{words} never came"]))

    async def everything(self) -> str:
        return await self._chat.everything()


@asynccontextmanager
async def friend(url: str) -> AsyncIterator[Friend]:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
        await client.get("/")
        yield Friend(client)


async def hears(seller: Member, words: str) -> list[str]:
    for _ in range(20):
        said, titles = await seller.hears()
        if words in said:
            return titles
    raise Failed(f"{words} never came")


async def sells(seller: Member, engine: AsyncEngine) -> str:
    """The token of their card."""
    await employ(engine, seller.customer_id, Role.SALES)
    found = re.search(r"/c/([\w-]+)", await seller.says("我的名片"))
    assert found
    return found[1]


async def talk(stack: Stack) -> None:
    engine = create_engine(settings.database_url())
    async with AsyncExitStack() as open_:
        seller = await open_.enter_async_context(member(stack, "ORD12345"))
        rival = await open_.enter_async_context(member(stack, "ORD12345"))
        buyer, stranger = [await open_.enter_async_context(friend(stack.url)) for _ in range(2)]
        token = await sells(seller, engine)
        await sells(rival, engine)
        await buyer.says("你好")
        await Cards(engine).open(token, buyer.sender, {})
        await buyer.says("跑步鞋多少钱")
        assert "我来接" in await hears(seller, "可以这样开口")

        for nobody in (stranger, buyer):
            assert "只有名片的主人和店长能看" in await nobody.says("我来接")
        assert "没有能接的对话" in await rival.says("我来接")
        assert "接上一位朋友了" in await seller.says("我来接")
        await buyer.hears("来了")
        assert "已转给一位朋友" in await seller.says("不用了吧这款您先别急着买，我帮您看看尺码")
        await buyer.hears("我帮您看看尺码")
        await buyer.says("我穿 42 码，手机 13812345678")
        await hears(seller, "一位朋友：我穿 42 码")
        assert "能量" in await seller.says("掌柜，我有多少能量")  # to the bot, by its name
        assert "没有能接的对话" in await rival.says("我来接")

        assert "交回" not in await stranger.says("交回去")
        await seller.says("稍等哈")
        await buyer.hears("稍等哈")
        assert "交回给我了" in await seller.says("交回去")
        await buyer.hears("服务结束了")
        assert "智能助手" in await buyer.says("你是机器人吗")
        assert "没有转出去" not in await seller.says("你是机器人吗")
        for other in (stranger, rival):
            assert "42 码" not in await other.everything()
        assert "我有多少能量" not in await buyer.everything()
    await engine.dispose()


def test_a_lead_is_talked_with_from_the_sellers_own_chat(stack: Stack) -> None:
    asyncio.run(talk(stack))
