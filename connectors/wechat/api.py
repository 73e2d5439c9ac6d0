"""The calls of WeChat's API that the house makes, each with the account's token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

import settings
from connectors.wechat.calls import Calls, text_of
from connectors.wechat.errors import ERRORS
from connectors.wechat.token import Tokens, stable
from settings import WeChatCredentials


class Api(Calls):
    async def send(self, openid: str, kind: str, content: Mapping[str, Any]) -> None:
        """A customer-service message. It has no key: sent twice, it comes twice."""
        await self._call("message/custom/send", {"touser": openid, "msgtype": kind, kind: content})

    async def typing(self, openid: str) -> None:
        await self._call("message/custom/typing", {"touser": openid, "command": "Typing"})

    async def send_template(self, openid: str, template: str, data: Mapping[str, str], key: str) -> None:
        """A template notice; with the same ``key`` it comes once within ten minutes."""
        body = {"touser": openid, "template_id": template, "data": _values(data), "client_msg_id": key}
        await self._call("message/template/send", body)

    async def send_subscribed(self, openid: str, template: str, data: Mapping[str, str]) -> None:
        """A notice to which the person has agreed, once for each time that they did. It has no key."""
        body = {"touser": openid, "template_id": template, "data": _values(data)}
        await self._call("message/subscribe/bizsend", body)

    async def set_menu(self, menu: Mapping[str, Any]) -> None:
        await self._call("menu/create", menu)

    async def scene_code(self, scene: str, seconds: int) -> str:
        """The address of a QR code that brings people in with ``scene``, 1 to 64 characters."""
        about = {"expire_seconds": seconds, "action_name": "QR_STR_SCENE"}
        answer = await self._call("qrcode/create", about | {"action_info": {"scene": {"scene_str": scene}}})
        ticket = text_of(answer, "ticket")
        return str(httpx.URL("https://mp.weixin.qq.com/cgi-bin/showqrcode", params={"ticket": ticket}))

    async def addresses(self) -> list[str]:
        """From which WeChat calls; it asks for nothing but a good token."""
        return [str(each) for each in (await self._call("getcallbackip")).get("ip_list", ())]


def connected(engine: AsyncEngine, http: httpx.AsyncClient, credentials: WeChatCredentials) -> Api:
    """The account's API, with the token that all processes share."""
    base = settings.wechat_api_base()
    ask = stable(http, base, credentials.app_id, credentials.app_secret)
    return Api(http, base, Tokens(engine, credentials.app_id, ask), ERRORS.token)


def _values(data: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"value": value} for name, value in data.items()}
